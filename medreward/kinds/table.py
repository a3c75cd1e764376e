"""The kinds of task: one line each."""

from __future__ import annotations

from medreward.kinds.boxes.kind import Localisation
from medreward.kinds.boxes.series import MultiImageLocalisation
from medreward.kinds.choice import MultipleChoice
from medreward.kinds.classification import Classification
from medreward.kinds.fields import Fields
from medreward.kinds.free_report import FreeReport
from medreward.kinds.multilabel import Multilabel
from medreward.kinds.number import Number
from medreward.kinds.ordinal import Ordinal
from medreward.kinds.pointing import Pointing
from medreward.kinds.report import StructuredReport
from medreward.kinds.segmentation import Segmentation
from medreward.kinds.short_answer import ShortAnswer
from medreward.task.registry import register_kind

for kind in (
    *(Classification, Ordinal, Multilabel, MultipleChoice, ShortAnswer, Number),
    *(Localisation, MultiImageLocalisation, Segmentation, Pointing),
    *(Fields, StructuredReport, FreeReport),
):
    register_kind(kind())
