from .case import (
    Case as Case,
    CaseEntry as CaseEntry,
    CaseView as CaseView,
    DataSet as DataSet,
    SeveralCases as SeveralCases,
    SeveralCaseViews as SeveralCaseViews,
    Terms as Terms,
)
from .layouts import (
    LAYOUTS as LAYOUTS,
    Layout as Layout,
    is_data_set as is_data_set,
    open_data_set as open_data_set,
)
from .xvr_result import (
    XvrResult as XvrResult,
    is_xvr_result as is_xvr_result,
    read_xvr_result as read_xvr_result,
    write_xvr_result as write_xvr_result,
)
