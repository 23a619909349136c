"""Operations by which a graph reaches beyond its tensors: files, network, other processes, Python.

A model is a program (TensorFlow's SECURITY.md). These names are worth a look when they stand in a graph that shall
serve. The checkpoint operations (SaveV2, RestoreV2, MergeV2Checkpoints) are left out: every export has them in its
saver functions, so their names alone tell nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Final

_READS: Final = "reads files that the server can read"
_WRITES: Final = "writes files that the server can write"
_TALKS: Final = "talks to other processes or over the network"
_PYTHON: Final = "calls Python, which the server does not have: it cannot run"
_HIDES: Final = "runs code that the graph does not show"

_KINDS: Final = {
    _READS: (
        "ReadFile WholeFileReader* *RecordReader* TextLineReader* TextLineDataset* TFRecord* FixedLengthRecord* "
        "*CSVDataset* LMDB* *SqlDataset MatchingFiles* Load*Dataset* LoadAndRemapMatrix"
    ),
    _WRITES: (
        "WriteFile Save*Dataset* Snapshot*Dataset* *DatasetToTFRecord* CacheDataset* DumpTensor DistributedSave Print "
        "PrintV2 Write*Summary* *Summary*Writer* ImportEvent Debug* CalibrationStatisticsSaver "
        "FileSystemSetConfiguration*"
    ),
    _TALKS: ("Rpc* *DataService* RegisterDataset* RemoteCall Send Recv _Send _Recv _HostSend _HostRecv Collective*"),
    _PYTHON: "PyFunc EagerPyFunc PyFuncStateless",
    _HIDES: "DatasetFromGraph XlaCustomCall* XlaCallModule TRTEngineOp",
}


def reasons(ops: Iterable[str]) -> dict[str, str]:
    """Those of the operations that reach beyond the graph, and how."""
    kinds = [(why, patterns.split()) for why, patterns in _KINDS.items()]
    found = {}
    for op in sorted(set(ops)):
        why = next((why for why, patterns in kinds if any(fnmatchcase(op, pattern) for pattern in patterns)), "")
        if why:
            found[op] = why
    return found
