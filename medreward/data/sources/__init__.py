"""Where images and labels come from: one module a source, each giving a `Source` of records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medreward.lazy import import_late

if TYPE_CHECKING:
    from medreward.data.sources.base import Option, SourceType, option
    from medreward.data.sources.coco import open_coco
    from medreward.data.sources.cvat import open_cvat
    from medreward.data.sources.dicom import open_dicom
    from medreward.data.sources.folders import open_class_folders
    from medreward.data.sources.huggingface import open_hugging_face
    from medreward.data.sources.label_studio import open_label_studio
    from medreward.data.sources.labelme import open_labelme
    from medreward.data.sources.masks import open_mask_folder
    from medreward.data.sources.nifti import open_nifti
    from medreward.data.sources.npz import open_npz
    from medreward.data.sources.record import Picture, ReadingOptions, Record, Source
    from medreward.data.sources.table import Columns, open_table
    from medreward.data.sources.voc import open_voc
    from medreward.data.sources.yolo import open_yolo
else:
    __getattr__, __dir__ = import_late(
        __name__,
        {
            "medreward.data.sources.base": "Option SourceType option",
            "medreward.data.sources.coco": "open_coco",
            "medreward.data.sources.cvat": "open_cvat",
            "medreward.data.sources.dicom": "open_dicom",
            "medreward.data.sources.folders": "open_class_folders",
            "medreward.data.sources.huggingface": "open_hugging_face",
            "medreward.data.sources.label_studio": "open_label_studio",
            "medreward.data.sources.labelme": "open_labelme",
            "medreward.data.sources.masks": "open_mask_folder",
            "medreward.data.sources.nifti": "open_nifti",
            "medreward.data.sources.npz": "open_npz",
            "medreward.data.sources.record": "Picture ReadingOptions Record Source",
            "medreward.data.sources.table": "Columns open_table",
            "medreward.data.sources.voc": "open_voc",
            "medreward.data.sources.yolo": "open_yolo",
        },
    )

__all__ = [
    "Columns",
    "Option",
    "Picture",
    "ReadingOptions",
    "Record",
    "Source",
    "SourceType",
    "open_class_folders",
    "open_coco",
    "open_cvat",
    "open_dicom",
    "open_hugging_face",
    "open_label_studio",
    "open_labelme",
    "open_mask_folder",
    "open_nifti",
    "open_npz",
    "open_table",
    "open_voc",
    "open_yolo",
    "option",
]
