from .each import EachFile as EachFile, missing_words as missing_words
from .errors import ReadError as ReadError, TooLarge as TooLarge
from .folder import (
    check_folder as check_folder,
    check_writable as check_writable,
    written_folder as written_folder,
)
from .json_text import (
    json_of_text as json_of_text,
    plain as plain,
    read_json as read_json,
    with_schema as with_schema,
)
from .memory import MEMORY_VARIABLE as MEMORY_VARIABLE, claim as claim, free_memory as free_memory
from .npz import read_npy as read_npy, read_npz as read_npz
from .numbers import is_number as is_number, number as number
from .place import check_file as check_file
from .processors import (
    set_thread_count as set_thread_count,
    thread_count as thread_count,
    usable_cpus as usable_cpus,
)
from .record import (
    Flag as Flag,
    Made as Made,
    Number as Number,
    Pair as Pair,
    Record as Record,
    Row as Row,
    Text as Text,
    Triple as Triple,
    Whole as Whole,
    rows_schema as rows_schema,
    sentence as sentence,
)
from .schemas import (
    BONES as BONES,
    DETECTIONS as DETECTIONS,
    DOCTOR as DOCTOR,
    FOLDER as FOLDER,
    GEOMETRY as GEOMETRY,
    GRID as GRID,
    HEATMAPS as HEATMAPS,
    INSPECTION as INSPECTION,
    JOINT as JOINT,
    POSE as POSE,
    RENDERING as RENDERING,
    RESULT as RESULT,
    SESSION as SESSION,
    STUDY as STUDY,
    STUDY_FOLDER as STUDY_FOLDER,
    STUDY_ROW as STUDY_ROW,
    TRACK as TRACK,
    TRACK_BETWEEN as TRACK_BETWEEN,
    TRACKING as TRACKING,
    TRAINING as TRAINING,
    TRAINING_STATE as TRAINING_STATE,
    TRAJECTORY as TRAJECTORY,
    TRUTH as TRUTH,
    VERSIONS as VERSIONS,
    WEIGHTS as WEIGHTS,
    schema_head as schema_head,
)
from .text import decoded as decoded, read_bytes as read_bytes, read_text as read_text
from .whole import WriteError as WriteError, written as written
