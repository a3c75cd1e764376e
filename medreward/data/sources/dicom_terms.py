"""The terms that DICOM defines for what a data set's card counts.

A header field can hold any text, also a name in capitals. Only these terms leave a header: the
defined terms of Modality (DICOM PS3.3, C.7.3.1.1.1) and of Photometric Interpretation (PS3.3,
C.7.6.3.1.2), and common ones of Body Part Examined (PS3.16, Annex L).
"""

from __future__ import annotations

TERMS = {
    "Modality": frozenset(
        "AR AS ASMT AU BDUS BI BMD CFM CR CT CTPROTOCOL DG DMS DOC DX ECG EEG EMG EOG EPS ES FID "
        "GM HC HD IO IOL IVOCT IVUS KER KO LEN LS M3D MG MR NM OAM OCT OP OPM OPT OPTBSV OPTENF "
        "OPV OSS OT PA PLAN POS PR PT PX REG RESP RF RG RTDOSE RTIMAGE RTINTENT RTPLAN RTRAD "
        "RTRECORD RTSEGANN RTSTRUCT RWV SEG SM SMR SR SRF STAIN TEXTUREMAP TG US VA XA XAPROTOCOL "
        "XC".split()
    ),
    "PhotometricInterpretation": frozenset(
        "MONOCHROME1|MONOCHROME2|PALETTE COLOR|RGB|YBR_FULL|YBR_FULL_422|YBR_PARTIAL_420|YBR_ICT|"
        "YBR_RCT|XYB|HSV|ARGB|CMYK|YBR_PARTIAL_422".split("|")
    ),
    "BodyPartExamined": frozenset(
        "ABDOMEN ABDOMENPELVIS ADRENAL ANKLE AORTA ARM AXILLA BACK BILEDUCT BLADDER BRAIN BREAST "
        "BRONCHUS BUTTOCK CALCANEUS CALF CAROTID CEREBELLUM CERVIX CHEEK CHEST CHESTABDOMEN "
        "CHESTABDPELVIS CLAVICLE COCCYX COLON CORNEA CSPINE CTSPINE DUODENUM EAR ELBOW ESOPHAGUS "
        "EXTREMITY EYE EYELID FACE FEMUR FINGER FOOT GALLBLADDER HAND HEAD HEADNECK HEART HIP "
        "HUMERUS ILEUM ILIUM IAC JAW JEJUNUM KIDNEY KNEE LARYNX LEG LIVER LSPINE LSSPINE LUNG "
        "MAXILLA MEDIASTINUM MOUTH NECK NECKCHEST NECKCHESTABDOMEN NECKCHESTABDPELV NOSE ORBIT "
        "OVARY PANCREAS PAROTID PATELLA PELVIS PENIS PHARYNX PROSTATE RECTUM RETINA RIB SCALP "
        "SCAPULA SCLERA SCROTUM SHOULDER SINUS SKIN SKULL SPINE SPLEEN SSPINE STERNUM STOMACH "
        "TESTIS THIGH THORAX THUMB THYMUS THYROID TLSPINE TOE TONGUE TRACHEA TSPINE UMBILICUS "
        "URETER URETHRA UTERUS VAGINA VULVA WHOLEBODY WRIST ZYGOMA".split()
    ),
}


def defined_term(name: str, value: object) -> str:
    """Return a header's value for a field if it is one of the defined terms, else "".

    >>> defined_term("Modality", " CT "), defined_term("Modality", "DOE JANE")
    ('CT', '')
    """
    text = str(value or "").strip()
    return text if text in TERMS[name] else ""
