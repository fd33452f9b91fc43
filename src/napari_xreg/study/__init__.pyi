from .case import Prepared as Prepared, StudyCase as StudyCase
from .dask_runner import Dask as Dask
from .errors import METRICS as METRICS, Metric as Metric, errors_of as errors_of
from .evaluating import (
    MAIN_HEAD as MAIN_HEAD,
    Evaluation as Evaluation,
    evaluate as evaluate,
    main_row as main_row,
    summary as summary,
    write_tables as write_tables,
)
from .forms.files import write_forms as write_forms
from .forms.titles import FORM_TITLES as FORM_TITLES
from .manifests import (
    manifest_of as manifest_of,
    manifest_text as manifest_text,
    opened_manifest as opened_manifest,
)
from .plan import Plan as Plan, plan_of as plan_of
from .registering import Item as Item, Job as Job, rows_of as rows_of
from .report import CaseDrawn as CaseDrawn, write_study_report as write_study_report
from .row_session import likelihood_of_row as likelihood_of_row, opened_row as opened_row
from .runners import InProcess as InProcess, Processes as Processes, Runner as Runner
from .running import (
    FolderRecord as FolderRecord,
    RowsDone as RowsDone,
    StudyDone as StudyDone,
    StudyRequest as StudyRequest,
    forget_failures as forget_failures,
    read_rows as read_rows,
    run_study as run_study,
)
from .slurm import job_script as job_script, read_slurm as read_slurm, submit as submit
from .tables import (
    WRONG_MM as WRONG_MM,
    Block as Block,
    blocks_of as blocks_of,
    claimed as claimed,
    failure_lines as failure_lines,
    figures as figures,
    is_refused as is_refused,
    is_wrong as is_wrong,
)
from .watching import Watched as Watched, watch as watch
