from .case import Prepared as Prepared, StudyCase as StudyCase
from .dask_runner import Dask as Dask
from .errors import METRICS as METRICS, Metric as Metric, errors_of as errors_of
from .evaluating import (
    Evaluation as Evaluation,
    evaluate as evaluate,
    summary as summary,
    write_tables as write_tables,
)
from .manifests import (
    manifest_of as manifest_of,
    manifest_text as manifest_text,
    opened_manifest as opened_manifest,
)
from .plan import Plan as Plan, plan_of as plan_of
from .registering import Item as Item, Job as Job, rows_of as rows_of
from .report import CaseDrawn as CaseDrawn, write_study_report as write_study_report
from .runners import InProcess as InProcess, Processes as Processes, Runner as Runner
from .running import (
    RowsDone as RowsDone,
    StudyDone as StudyDone,
    StudyRequest as StudyRequest,
    forget_failures as forget_failures,
    read_rows as read_rows,
    run_study as run_study,
)
from .slurm import job_script as job_script, read_slurm as read_slurm, submit as submit
from .tables import (
    Block as Block,
    blocks_of as blocks_of,
    failure_lines as failure_lines,
    figures as figures,
)
