"""`prepare` with each card of a published set, on a small file in the layout of that set."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medreward import explain
from medreward.kinds.right_answers import right_answer
from medreward.kinds.truth import target_of
from medreward.task.task import Task
from tests.prepare_support import folder_of_images, rows, run
from tests.test_prepare_dicom import header

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "how-to" / "published-sets.md").read_text(encoding="utf-8")
COMMANDS = {
    words[words.index("--task") + 1]: words[1:]
    for line in re.findall(r"^medreward prepare .*$", PAGE, re.MULTILINE)
    for words in [shlex.split(line)]
}


def pictures(folder: str, *names: str) -> Callable[[], object]:
    return lambda: folder_of_images(Path(folder), names)


def save_dicom(path: Path, seed: int) -> None:
    values = np.random.default_rng(seed).integers(0, 256, (64, 64), dtype=np.uint8)
    bits = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}
    made = header(Rows=64, Columns=64, PixelData=values.tobytes(), **bits)
    path.parent.mkdir(exist_ok=True)
    made.save_as(path, enforce_file_format=True)


def dicoms(*names: str) -> Callable[[], object]:
    def save() -> None:
        for i, name in enumerate(names):
            save_dicom(Path(name), i)

    return save


NIH = "00000001_000.png", "00000002_000.png"
STANFORD = [f"CheXpert-v1.0-small/train/patient0000{i}/study1/view1_frontal.jpg" for i in (1, 2)]
FINDINGS = (
    "Enlarged Cardiomediastinum,Cardiomegaly,Lung Opacity,Lung Lesion,Edema,Consolidation,"
    "Pneumonia,Atelectasis,Pneumothorax,Pleural Effusion,Pleural Other,Fracture,Support Devices"
)
CHEXPERT = (
    pictures(".", *STANFORD),
    {
        "train.csv": (
            f"Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,{FINDINGS}\n"
            f"{STANFORD[0]},Female,68,Frontal,AP,,,-1.0,1.0,,0.0,,,,0.0,1.0,,,1.0\n"
            f"{STANFORD[1]},Male,87,Frontal,AP,1.0,,,,,0.0,,,,0.0,,,,\n"
        )
    },
)
ISIC = "image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK\n"
NONE: list[str] = []
SLAKE = {"img_name": "a/1.jpg"}
OMNI = {
    "dataset": "x",
    "question_id": "x_0",
    "question": "Which modality?",
    "gt_answer": "MRI",
    "option_A": "CT",
    "option_B": "MRI",
    "option_C": "PET",
    "option_D": "X-ray",
    "image_path": "Images/a/1.jpg",
}
# Card -> what writes its pictures, its tables by file, and the truths that rows have to have.
LAYOUTS: dict[str, tuple[Callable[[], object], dict[str, str], list[Any]]] = {
    "kellgren_lawrence": (
        pictures("knees", "train/0/1.png", "train/4/2.png", "val/2/3.png", "test/3/4.png"),
        {},
        ["0", "2", "3", "4"],
    ),
    "isup": (
        pictures("train_images", "0005f7.tiff", "000920.tiff"),
        {
            "train.csv": "image_id,data_provider,isup_grade,gleason_score\n"
            "0005f7,karolinska,0,0+0\n000920,radboud,3,4+3\n"
        },
        ["0", "3"],
    ),
    "birads_density": (
        pictures("images", "s1/a.png", "s2/b.png"),
        {
            "breast-level_annotations.csv": "study_id,series_id,laterality,view_position,height,"
            "width,image_id,breast_birads,breast_density,split\n"
            "s1,x,R,MLO,3518,2800,a,BI-RADS 1,DENSITY C,training\n"
            "s2,y,L,CC,3518,2800,b,BI-RADS 2,DENSITY A,test\n"
        },
        ["1", "3"],
    ),
    "mayo_uc": (
        pictures("limuc", "train/Mayo 0/a.bmp", "train/Mayo 3/b.bmp", "test/Mayo 2/c.bmp"),
        {},
        ["0", "2", "3"],
    ),
    "icdr": (
        pictures("train_images", *[f"{name}.png" for name in "abcdefghij"]),
        {
            "train.csv": "id_code,diagnosis\n"
            + "".join(f"{name},{i % 5}\n" for i, name in enumerate("abcdefghij"))
        },
        ["0", "0", "1", "1", "2", "2", "3", "3", "4", "4"],
    ),
    "chestxray14": (
        pictures("images", *NIH),
        {
            "Data_Entry_2017.csv": "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,"
            "Patient Gender,View Position,OriginalImage[Width,Height],"
            "OriginalImagePixelSpacing[x,y],\n"
            f"{NIH[0]},Cardiomegaly|Pleural_Thickening,0,1,58,M,PA,2682,2749,0.143,0.143,\n"
            f"{NIH[1]},No Finding,0,2,81,M,PA,2500,2048,0.171,0.171,\n"
        },
        [NONE, ["Cardiomegaly", "Pleural_Thickening"]],
    ),
    "chexpert": (*CHEXPERT, [NONE, ["Lung Opacity", "Pleural Effusion", "Support Devices"]]),
    "vindr_cxr": (
        dicoms("train/0a.dicom", "train/0b.dicom"),
        {
            "annotations_train.csv": "image_id,rad_id,class_name,x_min,y_min,x_max,y_max\n"
            "0a,R10,No finding,,,,\n0b,R8,Nodule/Mass,10,20,30,40\n"
            "0a,R9,No finding,,,,\n0b,R9,Nodule/Mass,10,20,30,44\n"
            "0a,R11,No finding,,,,\n0b,R8,Pleural effusion,5,5,25,60\n0b,R2,No finding,,,,\n"
        },
        [
            [[], [], []],
            [
                [["Nodule/Mass", [10, 20, 30, 40]], ["Pleural effusion", [5, 5, 25, 60]]],
                [["Nodule/Mass", [10, 20, 30, 44]]],
                [],
            ],
        ],
    ),
    "rsna_pneumonia": (
        dicoms("stage_2_train_images/0004cfab.dcm", "stage_2_train_images/00436515.dcm"),
        {
            "stage_2_train_labels.csv": "patientId,x,y,width,height,Target\n0004cfab,,,,,0\n"
            "00436515,10.0,20.0,30.0,40.0,1\n00436515,2.0,3.0,10.0,12.0,1\n"
        },
        [[], [["lung opacity", [2, 3, 12, 15]], ["lung opacity", [10, 20, 40, 60]]]],
    ),
    "ham10000": (
        pictures("HAM10000_images_part_1", *(f"ISIC_000000{i}.jpg" for i in range(3))),
        {
            "HAM10000_metadata.csv": "lesion_id,image_id,dx,dx_type,age,sex,localization\n"
            "HAM_0000118,ISIC_0000000,bkl,histo,80.0,male,scalp\n"
            "HAM_0000118,ISIC_0000001,bkl,histo,80.0,male,scalp\n"
            "HAM_0002730,ISIC_0000002,akiec,histo,80.0,male,scalp\n"
        },
        [
            "actinic keratoses and intraepithelial carcinoma",
            "benign keratosis-like lesions",
            "benign keratosis-like lesions",
        ],
    ),
    "isic2019": (
        pictures("ISIC_2019_Training_Input", *(f"ISIC_000000{i}.jpg" for i in range(3))),
        {
            "ISIC_2019_Training_GroundTruth.csv": f"{ISIC}"
            "ISIC_0000000,0.0,1.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0\n"
            "ISIC_0000001,0.0,0.0,0.0,0.0,0.0,0.0,0.0,1.0,0.0\n"
            "ISIC_0000002,0.0,0.0,0.0,1.0,0.0,0.0,0.0,0.0,0.0\n"
        },
        ["actinic keratosis", "melanocytic nevi", "squamous cell carcinoma"],
    ),
    "kvasir": (
        pictures("kvasir-dataset-v2", "polyps/1.jpg", "normal-z-line/2.jpg"),
        {},
        ["normal-z-line", "polyps"],
    ),
    "brain_mri": (
        pictures(
            "brain-tumor-mri-dataset",
            *("Training/glioma/1.jpg", "Training/notumor/2.jpg", "Testing/pituitary/3.jpg"),
        ),
        {},
        ["glioma", "notumor", "pituitary"],
    ),
    "pcam": (
        pictures("train", "f38a.tif", "c18f.tif"),
        {"train_labels.csv": "id,label\nf38a,0\nc18f,1\n"},
        ["no tumour", "tumour"],
    ),
    "vqa_rad": (
        pictures("images", "2.jpg"),
        {
            "trainset.json": json.dumps(
                [
                    {"qid": 0, "image_name": "2.jpg", "question": "A CT?", "answer": "Yes"},
                    {"qid": 1, "image_name": "2.jpg", "question": "Organ?", "answer": "liver"},
                ]
            )
        },
        ["liver", "yes"],
    ),
    "slake": (
        pictures("imgs", "a/1.jpg"),
        {
            "train.json": json.dumps(
                [
                    {**SLAKE, "qid": 0, "q_lang": "en", "question": "Plane?", "answer": "Axial"},
                    {**SLAKE, "qid": 1, "q_lang": "zh", "question": "平面?", "answer": "横断面"},
                ]
            )
        },
        ["axial"],
    ),
    "path_vqa": (
        pictures("images", "2.jpg"),
        {
            "train.json": json.dumps(
                [{"image": "2.jpg", "question": "is necrosis present?", "answer": "no"}]
            )
        },
        ["no"],
    ),
    "pmc_vqa": (
        pictures("images", "2.jpg"),
        {
            "train_2.csv": "index,Figure_path,Caption,Question,Choice A,Choice B,Choice C,"
            "Choice D,Answer,split\n"
            "0,2.jpg,a CT,What is it?, A:CT , B:MRI , C:X-ray , D:PET ,A,train\n"
        },
        ["CT"],
    ),
    "omnimedvqa": (
        pictures("Images", "a/1.jpg"),
        {"OmniMedVQA.json": json.dumps([OMNI])},
        ["MRI"],
    ),
}


def truth_of(row: dict[str, Any]) -> Any:
    """Return a row's truth in one form for each kind."""
    text = row["reward_model"]["ground_truth"]
    found = json.loads(text) if text[:1] in "[{" else text
    if not isinstance(found, dict):
        return found
    if "annotators" in found:
        return [[[box["label"], box["box"]] for box in boxes] for boxes in found["annotators"]]
    if "boxes" in found:
        boxes = [[box["label"], box["box"]] for box in found["boxes"]]
        return sorted(boxes, key=lambda box: (box[1], box[0]) if box[0] == "lung opacity" else box)
    if "options" in found:
        return found["options"]["ABCD".index(found["answer"])]
    return found["answers"][0].lower()


def prepared(folder: Path, out: Path) -> list[dict[str, Any]]:
    splits = ("train", "val", "test")
    return [
        row
        for split in splits
        if (folder / out / f"{split}.parquet").exists()
        for row in rows(folder / out, split)
    ]


def lay_out(card: str, folder: Path) -> None:
    make_pictures, tables, _ = LAYOUTS[card]
    make_pictures()
    for name, text in tables.items():
        (folder / name).write_text(text, encoding="utf-8")


def test_the_page_has_a_command_for_each_set() -> None:
    assert set(COMMANDS) == set(LAYOUTS)
    for card in COMMANDS:
        assert len(Task.load(card).data["traps"].split()) > 15, card


@pytest.mark.parametrize("card", LAYOUTS)
def test_the_command_of_the_page_makes_rows_of_the_published_layout(
    card: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lay_out(card, tmp_path)
    assert run(*COMMANDS[card][1:]) == 0
    found = prepared(tmp_path, Path("rows", card))
    truths = LAYOUTS[card][2]
    assert sorted(map(truth_of, found), key=json.dumps) == sorted(truths, key=json.dumps)
    task = Task.load(card)
    for row in found:
        target = target_of(task, row["reward_model"]["ground_truth"])
        answer = right_answer(task, target)
        said = f"<think>Seen.</think><answer>{answer}</answer>"
        assert explain(said, target, task=task, knowledge="").correct, answer
    assert "traps" in Path("rows", card, "dataset_card.md").read_text(encoding="utf-8")


def test_the_three_readers_of_vindr_are_annotators(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    lay_out("vindr_cxr", tmp_path)
    assert run(*COMMANDS["vindr_cxr"][1:]) == 0
    assert (
        "2 images: of several readers: the boxes of each are kept apart" in capsys.readouterr().out
    )
    task = Task.load("vindr_cxr")
    truths = [
        row["reward_model"]["ground_truth"] for row in prepared(tmp_path, Path("rows/vindr_cxr"))
    ]
    [drawn] = [target_of(task, truth) for truth in truths if "Nodule" in truth]
    mass, fluid = "Nodule/Mass: [10, 20, 30, 42]", "Pleural effusion: [5, 5, 25, 60]"

    def earned(answer: str, annotators: str) -> tuple[bool, float]:
        said = f"<think>Seen.</think><answer>{answer}</answer>"
        score = explain(said, drawn, task=task, knowledge="", annotators=annotators)
        return score.correct, score.parts["accuracy"]

    assert earned(mass, "consensus") == (True, 1.0)  # two of three drew it, and one the other
    assert earned(f"{mass}; {fluid}", "consensus")[1] < 1.0
    assert earned("no finding", "best") == (True, 1.0)  # one saw nothing
    assert 0.0 < earned(mass, "mean")[1] < earned(mass, "consensus")[1]
    assert "R8" not in json.dumps(prepared(tmp_path, Path("rows/vindr_cxr")), default=str)


def test_without_the_option_the_boxes_of_all_readers_are_one_list_with_a_remark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    lay_out("vindr_cxr", tmp_path)
    words = [x for x in COMMANDS["vindr_cxr"][1:] if x not in ("--reader-column", "rad_id")]
    assert run(*words) == 0
    assert "column 'rad_id' looks like a reader's, and is not used" in capsys.readouterr().out
    found = [*map(truth_of, prepared(tmp_path, Path("rows/vindr_cxr")))]
    assert sorted(map(len, found)) == [0, 3]


def test_a_reader_whose_boxes_are_all_degenerate_does_not_say_that_there_is_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    lay_out("vindr_cxr", tmp_path)
    table = tmp_path / "annotations_train.csv"
    table.write_text(table.read_text("utf-8").replace("0b,R2,No finding,,,,", "0b,R2,ILD,9,9,9,9"))
    assert run(*COMMANDS["vindr_cxr"][1:]) == 0
    assert "a reader left out: none of the boxes can be used" in capsys.readouterr().out
    found = [*map(truth_of, prepared(tmp_path, Path("rows/vindr_cxr")))]
    assert sorted(map(len, found)) == [2, 3]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rad_id": ""}, "column 'rad_id' is empty, so that nobody knows whose box it is"),
        ({"task": "chest.yaml"}, "3 readers drew its boxes .* a set of labels is of one reader"),
        ({"ask": "count"}, "3 readers drew its boxes .* questions are asked about those of one"),
        ({"column": "reader"}, "reader column: 'reader' is not one of"),
        ({"corners": ""}, "--reader-column: it goes with --box-columns or --corner-columns"),
    ],
)
def test_readers_that_cannot_be_kept_apart_are_an_error(
    changes: dict[str, str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    lay_out("vindr_cxr", tmp_path)
    table = tmp_path / "annotations_train.csv"
    table.write_text(
        table.read_text("utf-8").replace("0b,R2,", f"0b,{changes.get('rad_id', 'R2')},")
    )
    (tmp_path / "chest.yaml").write_text(
        "name: chest\nkind: multilabel\nquestion: Which?\nlabels: [Nodule/Mass, Pleural effusion]\n"
    )
    words = [*COMMANDS["vindr_cxr"][1:]]
    words[words.index("vindr_cxr")] = changes.get("task", "vindr_cxr")
    words[words.index("--reader-column") + 1] = changes.get("column", "rad_id")
    if "corners" in changes:
        at = words.index("--corner-columns")
        words[at : at + 5] = []
    words += ["--ask", changes["ask"]] if "ask" in changes else []
    assert run(*words) != 0
    assert re.search(message, capsys.readouterr().err)


@pytest.mark.parametrize(
    ("flag", "truths"),
    [
        (
            "--flag-value=-1=1",
            [NONE, ["Cardiomegaly", "Lung Opacity", "Pleural Effusion", "Support Devices"]],
        ),
        ("--flag-value=-1=", [NONE]),
    ],
)
def test_what_is_uncertain_in_chexpert_is_for_the_user_to_say(
    flag: str, truths: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lay_out("chexpert", tmp_path)
    words = [flag if word == "--flag-value=-1=0" else word for word in COMMANDS["chexpert"]]
    assert flag in words
    assert f"`{flag}`" in PAGE
    assert run(*words[1:]) == 0
    found = [*map(truth_of, prepared(tmp_path, Path("rows/chexpert")))]
    assert sorted(found, key=json.dumps) == sorted(truths, key=json.dumps)
