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
