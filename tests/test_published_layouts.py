"""`prepare` with each card of a published set, on a small file in the layout of that set."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

from medreward import explain
from medreward.kinds.right_answers import right_answer
from medreward.kinds.truth import target_of
from medreward.task.card import shipped
from medreward.task.task import Task
from tests.prepare_support import folder_of_images, rows, run

Layout = Callable[[Path], list[object]]  # writes the files, and returns the options


def table(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def folders(*names: str) -> Layout:
    def make(folder: Path) -> list[object]:
        return ["--folders", folder_of_images(folder / "set", names)]

    return make


def save_dicom(path: Path, seed: int) -> None:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    made = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    made.SOPClassUID, made.SOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    made.Rows = made.Columns = 64
    made.SamplesPerPixel, made.PixelRepresentation = 1, 0
    made.BitsAllocated, made.BitsStored, made.HighBit = 8, 8, 7
    made.PhotometricInterpretation = "MONOCHROME2"
    values = np.random.default_rng(seed).integers(0, 256, (64, 64), dtype=np.uint8)
    made.PixelData = values.tobytes()
    path.parent.mkdir(exist_ok=True)
    made.save_as(path, enforce_file_format=True)


def chestxray14(folder: Path) -> list[object]:
    pictures = folder_of_images(folder / "images", ["00000001_000.png", "00000002_000.png"])
    csv = table(
        folder,
        "Data_Entry_2017.csv",
        "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,"
        "View Position,OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],\n"
        "00000001_000.png,Cardiomegaly|Pleural_Thickening,0,1,58,M,PA,2682,2749,0.143,0.143,\n"
        "00000002_000.png,No Finding,0,2,81,M,PA,2500,2048,0.171,0.171,\n",
    )
    return [
        *("--images", pictures, "--csv", csv, "--image-column", "Image Index"),
        *("--label-column", "Finding Labels", "--label-separator", "|"),
        *("--patient-column", "Patient ID"),
    ]


CHEXPERT = [
    *("Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Opacity", "Lung Lesion", "Edema"),
    *("Consolidation", "Pneumonia", "Atelectasis", "Pneumothorax", "Pleural Effusion"),
    *("Pleural Other", "Fracture", "Support Devices"),
]


def chexpert(*flags: str) -> Layout:
    def make(folder: Path) -> list[object]:
        names = [f"CheXpert-v1.0-small/train/patient0000{i}/study1/view1_frontal.jpg" for i in "12"]
        root = folder_of_images(folder, names)
        csv = table(
            folder,
            "train.csv",
            f"Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,{','.join(CHEXPERT)}\n"
            f"{names[0]},Female,68,Frontal,AP,,,-1.0,1.0,,0.0,,,,0.0,1.0,,,1.0\n"
            f"{names[1]},Male,87,Frontal,AP,1.0,,,,,0.0,,,,0.0,,,,\n",
        )
        return [
            *("--images", root, "--csv", csv, "--image-column", "Path"),
            *("--label-columns", *CHEXPERT, *flags),
        ]

    return make


def isic2019(folder: Path) -> list[object]:
    names = ["ISIC_0000000", "ISIC_0000001", "ISIC_0000002"]
    pictures = folder_of_images(folder / "ISIC_2019_Training_Input", [f"{n}.jpg" for n in names])
    kinds = "MEL NV BCC AK BKL DF VASC SCC".split()
    lines = [f"image,{','.join(kinds)},UNK"]
    for name, kind in zip(names, ("NV", "SCC", "AK"), strict=True):
        lines.append(f"{name},{','.join(str(float(k == kind)) for k in kinds)},0.0")
    csv = table(folder, "ISIC_2019_Training_GroundTruth.csv", "\n".join(lines))
    return [
        *("--images", pictures, "--csv", csv, "--image-column", "image"),
        *("--image-suffix", ".jpg", "--label-columns", *kinds),
    ]


def ham10000(folder: Path) -> list[object]:
    names = ["ISIC_0027419.jpg", "ISIC_0025030.jpg", "ISIC_0026769.jpg"]
    pictures = folder_of_images(folder / "HAM10000_images_part_1", names)
    csv = table(
        folder,
        "HAM10000_metadata.csv",
        "lesion_id,image_id,dx,dx_type,age,sex,localization\n"
        "HAM_0000118,ISIC_0027419,bkl,histo,80.0,male,scalp\n"
        "HAM_0000118,ISIC_0025030,bkl,histo,80.0,male,scalp\n"
        "HAM_0002730,ISIC_0026769,akiec,histo,80.0,male,scalp\n",
    )
    return [
        *("--images", pictures, "--csv", csv, "--image-column", "image_id"),
        *("--image-suffix", ".jpg", "--label-column", "dx", "--patient-column", "lesion_id"),
    ]


def isup(folder: Path) -> list[object]:
    pictures = folder_of_images(folder / "train_images", ["0005f7.tiff", "000920.tiff"])
    csv = table(
        folder,
        "train.csv",
        "image_id,data_provider,isup_grade,gleason_score\n"
        "0005f7,karolinska,0,0+0\n000920,radboud,3,4+3\n",
    )
    return [
        *("--images", pictures, "--csv", csv, "--image-column", "image_id"),
        *("--image-suffix", ".tiff", "--label-column", "isup_grade"),
    ]


def birads_density(folder: Path) -> list[object]:
    pictures = folder_of_images(folder / "images", ["s1/a.png", "s2/b.png"])
    csv = table(
        folder,
        "breast-level_annotations.csv",
        "study_id,series_id,laterality,view_position,height,width,image_id,breast_birads,"
        "breast_density,split\n"
        "s1,x,R,MLO,3518,2800,a,BI-RADS 1,DENSITY C,training\n"
        "s2,y,L,CC,3518,2800,b,BI-RADS 2,DENSITY A,test\n",
    )
    return [
        *("--images", pictures, "--csv", csv, "--image-column", "image_id"),
        *("--image-suffix", ".png", "--label-column", "breast_density"),
        *("--patient-column", "study_id"),
    ]


def pcam(folder: Path) -> list[object]:
    pictures = folder_of_images(folder / "train", ["f38a.tif", "c18f.tif"])
    csv = table(folder, "train_labels.csv", "id,label\nf38a,0\nc18f,1\n")
    return [
        *("--images", pictures, "--csv", csv, "--image-column", "id", "--image-suffix", ".tif"),
        *("--map", "0=no tumour", "--map", "1=tumour"),
    ]


def vindr_cxr(folder: Path) -> list[object]:
    for i, name in enumerate(("0a", "0b")):
        save_dicom(folder / "train" / f"{name}.dicom", i)
    csv = table(
        folder,
        "annotations_train.csv",
        "image_id,rad_id,class_name,x_min,y_min,x_max,y_max\n"
        "0a,R10,No finding,,,,\n"
        "0b,R8,Nodule/Mass,10,20,30,40\n"
        "0b,R8,Pleural effusion,5,5,25,60\n",
    )
    return [
        *("--dicom", folder / "train", "--csv", csv, "--image-column", "image_id"),
        *("--image-suffix", ".dicom", "--label-column", "class_name"),
        *("--corner-columns", "x_min", "y_min", "x_max", "y_max"),
    ]


def rsna_pneumonia(folder: Path) -> list[object]:
    for i, name in enumerate(("0004cfab", "00436515")):
        save_dicom(folder / "stage_2_train_images" / f"{name}.dcm", i)
    csv = table(
        folder,
        "stage_2_train_labels.csv",
        "patientId,x,y,width,height,Target\n"
        "0004cfab,,,,,0\n00436515,10.0,20.0,30.0,40.0,1\n00436515,2.0,3.0,10.0,12.0,1\n",
    )
    return [
        *("--dicom", folder / "stage_2_train_images", "--csv", csv, "--image-column", "patientId"),
        *("--image-suffix", ".dcm", "--label-column", "Target"),
        *("--box-columns", "x", "y", "width", "height", "--map", "1=lung opacity"),
    ]


def questions(layout: str, name: str, content: object, *options: str) -> Layout:
    def make(folder: Path) -> list[object]:
        pictures = folder_of_images(folder / "images", ["a/1.jpg", "2.jpg"])
        text = content if isinstance(content, str) else json.dumps(content)
        path = table(folder, name, text)
        return ["--questions", path, "--layout", layout, "--image-folder", pictures, *options]

    return make


VQA_RAD = [
    {"qid": 0, "image_name": "2.jpg", "question": "Is it a CT?", "answer": "Yes"},
    {"qid": 1, "image_name": "2.jpg", "question": "Which organ?", "answer": "liver"},
]
SLAKE = [
    {"qid": 0, "img_name": "a/1.jpg", "q_lang": "en", "question": "Plane?", "answer": "Axial"},
    {"qid": 1, "img_name": "a/1.jpg", "q_lang": "zh", "question": "平面?", "answer": "横断面"},
]
PATH_VQA = [{"image": "2.jpg", "question": "is necrosis present?", "answer": "no"}]
PMC_VQA = (
    "index,Figure_path,Caption,Question,Choice A,Choice B,Choice C,Choice D,Answer,split\n"
    "0,2.jpg,a CT,What is it?, A:CT , B:MRI , C:X-ray , D:PET ,A,train\n"
)
OMNI = [
    {
        "dataset": "x",
        "question_id": "x_0",
        "question": "Which modality?",
        "gt_answer": "MRI",
        "option_A": "CT",
        "option_B": "MRI",
        "option_C": "PET",
        "option_D": "X-ray",
        "image_path": "a/1.jpg",
    }
]
NONE: list[str] = []
LAYOUTS: dict[str, tuple[str, Layout, list[Any]]] = {
    "kellgren_lawrence": (
        "kellgren_lawrence",
        folders("train/0/1.png", "train/4/2.png", "val/2/3.png", "test/3/4.png"),
        ["0", "2", "3", "4"],
    ),
    "isup": ("isup", isup, ["0", "3"]),
    "birads_density": ("birads_density", birads_density, ["1", "3"]),
    "chexpert, blank and -1 are 0": (
        "chexpert",
        chexpert("--flag-value==0", "--flag-value=-1=0"),
        [NONE, ["Lung Opacity", "Pleural Effusion", "Support Devices"]],
    ),
    "chexpert, -1 is 1": (
        "chexpert",
        chexpert("--flag-value==0", "--flag-value=-1=1"),
        [NONE, ["Cardiomegaly", "Lung Opacity", "Pleural Effusion", "Support Devices"]],
    ),
    "chexpert, -1 is left out": (
        "chexpert",
        chexpert("--flag-value==0", "--flag-value=-1="),
        [NONE],
    ),
    "chestxray14": ("chestxray14", chestxray14, [NONE, ["Cardiomegaly", "Pleural_Thickening"]]),
    "isic2019": (
        "isic2019",
        isic2019,
        ["actinic keratosis", "melanocytic nevi", "squamous cell carcinoma"],
    ),
    "ham10000": (
        "ham10000",
        ham10000,
        [
            "actinic keratoses and intraepithelial carcinoma",
            "benign keratosis-like lesions",
            "benign keratosis-like lesions",
        ],
    ),
    "kvasir": (
        "kvasir",
        folders("polyps/1.jpg", "normal-z-line/2.jpg"),
        ["normal-z-line", "polyps"],
    ),
    "mayo_uc": (
        "mayo_uc",
        folders("train/Mayo 0/a.bmp", "train/Mayo 3/b.bmp", "test/Mayo 2/c.bmp"),
        ["0", "2", "3"],
    ),
    "pcam": ("pcam", pcam, ["no tumour", "tumour"]),
    "brain_mri": (
        "brain_mri",
        folders("Training/glioma/1.jpg", "Training/notumor/2.jpg", "Testing/pituitary/3.jpg"),
        ["glioma", "notumor", "pituitary"],
    ),
    "vindr_cxr": (
        "vindr_cxr",
        vindr_cxr,
        [[], [["Nodule/Mass", [10, 20, 30, 40]], ["Pleural effusion", [5, 5, 25, 60]]]],
    ),
    "rsna_pneumonia": (
        "rsna_pneumonia",
        rsna_pneumonia,
        [[], [["lung opacity", [2, 3, 12, 15]], ["lung opacity", [10, 20, 40, 60]]]],
    ),
    "vqa_rad": ("vqa_rad", questions("vqa-rad", "trainset.json", VQA_RAD), ["liver", "yes"]),
    "slake": ("slake", questions("slake", "train.json", SLAKE, "--where", "q_lang=en"), ["axial"]),
    "path_vqa": ("path_vqa", questions("pathvqa", "train.json", PATH_VQA), ["no"]),
    "pmc_vqa": ("pmc_vqa", questions("pmc-vqa", "train_2.csv", PMC_VQA), ["CT"]),
    "omnimedvqa": ("omnimedvqa", questions("omnimedvqa", "x.json", OMNI), ["MRI"]),
}


OWN_SPLITS = {"kellgren_lawrence", "birads_density", "mayo_uc", "brain_mri", "pmc_vqa"}


def truth_of(row: dict[str, Any]) -> Any:
    """Return a row's truth in one form for each kind."""
    text = row["reward_model"]["ground_truth"]
    found = json.loads(text) if text[:1] in "[{" else text
    if not isinstance(found, dict):
        return found
    if "boxes" in found:
        boxes = [[box["label"], box["box"]] for box in found["boxes"]]
        return sorted(boxes, key=lambda box: (box[1], box[0]) if box[0] == "lung opacity" else box)
    if "options" in found:
        return found["options"]["ABCD".index(found["answer"])]
    return found["answers"][0].lower()


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_published_layout_becomes_rows_of_its_card(name: str, tmp_path: Path) -> None:
    card, layout, truths = LAYOUTS[name]
    out = tmp_path / "rows"
    split = [] if name in OWN_SPLITS else ["--split", "train=1"]
    assert run("--task", card, *layout(tmp_path), *split, "--out", out) == 0
    found = [
        row
        for split in ("train", "val", "test")
        if (out / f"{split}.parquet").exists()
        for row in rows(out, split)
    ]
    assert sorted(map(truth_of, found), key=json.dumps) == sorted(truths, key=json.dumps)
    task = Task.load(card)
    for row in found:
        target = target_of(task, row["reward_model"]["ground_truth"])
        answer = right_answer(task, target)
        said = f"<think>Seen.</think><answer>{answer}</answer>"
        assert explain(said, target, task=task, knowledge="").correct, answer


def test_every_card_of_a_published_set_has_its_traps() -> None:
    cards = {card for card, _, _ in LAYOUTS.values()}
    assert cards <= set(shipped())
    for card in cards:
        assert len(Task.load(card).data["traps"].split()) > 15, card
