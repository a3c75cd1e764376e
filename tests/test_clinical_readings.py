"""Answers as clinicians word them, and what each card makes of them: none of another disease."""

from __future__ import annotations

import pytest

from medreward import explain
from medreward.task.task import Task

# Where nothing is read, the answer is of another disease or organ, or says nothing of the labels.
READ: dict[str, dict[str, str | None]] = {
    "icdr": {
        "severe macular edema": None,
        "severe haze, ungradable": None,
        "ungradable": None,
        "moderate image quality": None,
        "mild cataract": None,
        "severe hypertensive retinopathy": None,
        "no DR, mild drusen": None,
        "moderate": "2",
        "Grade 2 (moderate)": "2",
        "moderate DR": "2",
        "severe nonproliferative": "3",
    },
    "retinamnist": {
        "severe macular edema": None,
        "moderate image quality": None,
        "mild cataract": None,
    },
    "chestmnist": {
        "pleural fluid": "effusion",
        "small bilateral pleural fluid": "effusion",
        "pericardial effusion": None,
        "subcutaneous emphysema": None,
        "mediastinal emphysema": None,
        "mediastinal mass": None,
        "mass effect": None,
        "soft tissue edema": None,
        "pleural-based mass": None,
        "normal heart size": None,
        "lungs are normal in volume": None,
        "Effusion. Normal heart size.": "effusion",
    },
    "chestxray14": {
        "pericardial effusion": None,
        "pleural thickening": "Pleural_Thickening",
        "Pleural_Thickening": "Pleural_Thickening",
        "normal heart size": None,
    },
    "chexpert": {
        "pericardial effusion": None,
        "pleural fluid": "Pleural Effusion",
        "mediastinal mass": None,
        "normal heart size": None,
    },
    "pneumoniamnist": {
        "Pneumonia. Heart size is normal.": "pneumonia",
        "normal heart, right upper lobe opacity": None,
        "no pneumonia": "normal",
        "negative for pneumonia": "normal",
    },
    "octmnist": {"normal choroid, intraretinal cysts": None},
    "busi": {"suspicious mass with normal skin": None, "no mass": None},
    "breastmnist": {
        "not malignant": "normal, benign",
        "no evidence of malignancy": "normal, benign",
    },
    "organamnist": {"gall bladder": None, "gallbladder": None},
    "dermamnist": {
        "nevus flammeus": None,
        "nevus sebaceus": None,
        "epidermal nevus": None,
        "Becker nevus": None,
    },
    "isic2019": {
        "squamous cell carcinoma in situ": None,
        "SCC": "squamous cell carcinoma",
        "AK": "actinic keratosis",
        "nevus flammeus": None,
    },
    "bloodmnist": {
        "immature neutrophil": None,
        "neutrophil precursor": None,
        # Names of two labels, or one edit away from that.
        "neutrophil myelocyte": None,
        "neutrophilic myelocyte": None,
    },
    "pathmnist": {"Going back, I think debris": None, "mucus-producing adenocarcinoma": None},
    "kellgren_lawrence": {
        "KL grade 2": "2",
        "Kellgren-Lawrence grade II": "2",
        "severe osteoporosis": None,
        "no osteoarthritis": "0",
        "mild joint effusion": None,
    },
    "isup": {"ISUP grade 3": "3", "grade group 4": "4", "Gleason grade 4 in one core": None},
    "birads_density": {
        "BI-RADS density C": "3",
        "heterogeneously dense breasts": "3",
        "BI-RADS 4": None,
        "dense mass": None,
    },
    "mayo_uc": {
        "Mayo endoscopic subscore 2": "2",
        "Mayo 3": "3",
        "inactive disease": "0",
        "severe stenosis": None,
    },
    "grounding_count": {"lesions: 2": "2", "2 lesions": "2", "2 new": None},
    "pcam": {"no metastasis": "no tumour", "tumor tissue": "tumour"},
}


@pytest.mark.parametrize(
    ("card", "answer", "read"),
    [(card, answer, read) for card, rows in READ.items() for answer, read in rows.items()],
)
def test_an_answer_is_read_as_what_it_says(card: str, answer: str, read: str | None) -> None:
    task = Task.load(card)
    target = [] if task.kind == "multilabel" else task.labels[0].name
    said = f"<think>Seen.</think><answer>{answer}</answer>"
    assert explain(said, target, task=task, knowledge="").prediction == read
