"""The same plates in every form in which people keep labels: tiny photographs, and the label files beside them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 160, 200
LARGE, SMALL = (60, 40, 90, 130), (10, 20, 22, 60)  # Boxes of two plates, yxyx.
# By photograph: its plates, each with a box and a text. Latin, Arabic in logical order, Chinese; unknown; none.
PLATES = {
    "0.png": [(LARGE, "169T9685")],
    "1.png": [(LARGE, "سطن٧١٢٦"), (SMALL, "رى٤٢")],
    "2.png": [(SMALL, "粤BA9H07")],
    "3.png": [],
    "4.png": [(LARGE, "B1876UYP"), (SMALL, None)],
    "5.png": [(LARGE, "AB12")],
}
# The photographs that are held out, in forms that can say so.
HELD = ("4.png", "5.png")
CROPS = {"a.png": "津G68991", "b.png": "7T77"}


def save_picture(path: Path, seed: int, height: int = HEIGHT, width: int = WIDTH) -> Path:
    """Save a picture of coloured blotches."""
    blotches = np.random.default_rng(seed).integers(0, 256, (height // 5, width // 5, 3), "uint8")
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(blotches).resize((width, height), Image.Resampling.BICUBIC).save(path)
    return path


def save_photographs(folder: Path, plates=PLATES) -> None:
    """Save a photograph of every name into a folder."""
    for seed, name in enumerate(plates):
        save_picture(folder / name, seed)


def write_csv(path: Path, columns, rows) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns, *rows])
    return path


def write_json(path: Path, content) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return path


def write_text(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def parts(plates=PLATES):
    """The plates to train on and those held out."""
    return [
        ("train", {name: found for name, found in plates.items() if name not in HELD}),
        ("val", {name: found for name, found in plates.items() if name in HELD}),
    ]


def write_table(folder: Path) -> None:
    """One table for each part, a row a plate."""
    for part, plates in parts():
        rows = [(name, *box, text or "") for name, found in plates.items() for box, text in found]
        rows += [(name, "", "", "", "", "") for name, found in plates.items() if not found]
        write_csv(folder / f"{part}.csv", ("img_id", "ymin", "xmin", "ymax", "xmax", "text"), rows)
    save_photographs(folder / "photographs")


def write_fast_plate_ocr(folder: Path) -> None:
    """Crops alone."""
    rows = [(f"pictures/{name}", text) for name, text in CROPS.items()]
    write_csv(folder / "labels.csv", ("image_path", "plate_text"), rows)
    for seed, name in enumerate(CROPS):
        save_picture(folder / "pictures" / name, 50 + seed, 30, 90)


def write_coco(folder: Path) -> None:
    """A file for each part, its pictures in one folder."""
    for part, plates in parts():
        images, annotations = [], []
        for number, (name, found) in enumerate(plates.items(), start=1):
            images.append({"id": number, "file_name": name, "width": WIDTH, "height": HEIGHT})
            for (ymin, xmin, ymax, xmax), text in found:
                entry = {"id": len(annotations) + 1, "image_id": number, "category_id": 1, "iscrowd": 0}
                entry["bbox"] = [xmin, ymin, xmax - xmin, ymax - ymin]
                annotations.append(entry | ({"attributes": {"text": text}} if text else {}))
        categories = [{"id": 1, "name": "license_plate"}]
        content = {"images": images, "annotations": annotations, "categories": categories}
        write_json(folder / "annotations" / f"instances_{part}.json", content)
    save_photographs(folder / "images")


def write_yolo(folder: Path) -> None:
    """A `data.yaml`, with folders for each part; no texts."""
    write_text(folder / "data.yaml", "train: images/train\nval: images/val\nnc: 1\nnames: [plate]\n")
    for part, plates in parts():
        for seed, (name, found) in enumerate(plates.items()):
            save_picture(folder / "images" / part / name, seed)
            lines = [yolo_line(box) for box, _ in found]
            if found or seed % 2:
                write_text(folder / "labels" / part / f"{Path(name).stem}.txt", "".join(lines))


def yolo_line(box, label=0) -> str:
    ymin, xmin, ymax, xmax = box
    centre = (xmin + xmax) / 2 / WIDTH, (ymin + ymax) / 2 / HEIGHT
    return f"{label} {centre[0]:.6f} {centre[1]:.6f} {(xmax - xmin) / WIDTH:.6f} {(ymax - ymin) / HEIGHT:.6f}\n"


def voc_object(box, name="plate", inside="") -> str:
    ymin, xmin, ymax, xmax = box
    corners = f"<xmin>{xmin}</xmin><ymin>{ymin}</ymin><xmax>{xmax}</xmax><ymax>{ymax}</ymax>"
    return f"<object><name>{name}</name><bndbox>{corners}</bndbox>{inside}</object>"


def voc_file(name, objects) -> str:
    size = f"<size><width>{WIDTH}</width><height>{HEIGHT}</height><depth>3</depth></size>"
    return f"<annotation><filename>{name}</filename>{size}{''.join(objects)}</annotation>"


def write_voc(folder: Path) -> None:
    """`Annotations`, `JPEGImages`, and the parts in `ImageSets`; texts in attributes, as CVAT writes them."""
    for part, plates in parts():
        write_text(folder / "ImageSets" / "Main" / f"{part}.txt", "".join(f"{Path(name).stem}\n" for name in plates))
        for name, found in plates.items():
            objects = [
                voc_object(
                    box,
                    inside=f"<attributes><attribute><name>text</name><value>{text}</value></attribute></attributes>"
                    if text
                    else "",
                )
                for box, text in found
            ]
            write_text(folder / "Annotations" / f"{Path(name).stem}.xml", voc_file(name, objects))
    save_photographs(folder / "JPEGImages")


def cvat_box(box, text=None, label="plate", more="") -> str:
    ymin, xmin, ymax, xmax = box
    inside = f'<attribute name="text">{text}</attribute>' if text else ""
    corners = f'xtl="{xmin}" ytl="{ymin}" xbr="{xmax}" ybr="{ymax}"'
    return f'<box label="{label}" source="manual" occluded="0" {corners} z_order="0" {more}>{inside}</box>'


def cvat_file(images) -> str:
    """A file of CVAT; `images` are pairs of attributes and shapes."""
    meta = "<meta><task><labels><label><name>plate</name></label></labels></task></meta>"
    inner = "".join(
        f'<image id="{number}" width="{WIDTH}" height="{HEIGHT}" {attributes}>{"".join(shapes)}</image>'
        for number, (attributes, shapes) in enumerate(images)
    )
    return f'<?xml version="1.0" encoding="utf-8"?><annotations><version>1.1</version>{meta}{inner}</annotations>'


def write_cvat(folder: Path) -> None:
    """An export of a project: one XML file, `images`, and the parts as subsets."""
    images = []
    for part, plates in parts():
        for name, found in plates.items():
            images.append((f'name="{name}" subset="{part.title()}"', [cvat_box(*one) for one in found]))
    write_text(folder / "annotations.xml", cvat_file(images))
    save_photographs(folder / "images")


def label_studio_plate(number, box, text=None) -> list[dict]:
    """The results of one region: a rectangle, and its text."""
    ymin, xmin, ymax, xmax = box
    value = {"x": 100 * xmin / WIDTH, "y": 100 * ymin / HEIGHT, "rotation": 0}
    value |= {"width": 100 * (xmax - xmin) / WIDTH, "height": 100 * (ymax - ymin) / HEIGHT}
    common = {"id": f"region{number}", "to_name": "image", "original_width": WIDTH, "original_height": HEIGHT}
    rectangle = {"type": "rectanglelabels", "from_name": "label", "value": value | {"rectanglelabels": ["plate"]}}
    texts = [{"type": "textarea", "from_name": "text", "value": value | {"text": [text]}}] if text else []
    return [common | {"image_rotation": 0} | one for one in [rectangle, *texts]]


def label_studio_task(number, place, results, **more) -> dict:
    annotation = {"id": number, "was_cancelled": False, "result": results, **more}
    return {"id": number, "data": {"image": place}, "annotations": [annotation], "predictions": []}


def write_label_studio(folder: Path) -> None:
    """An export for each part; the pictures have their names of before they were uploaded."""
    for part, plates in parts():
        tasks = [
            label_studio_task(
                number,
                f"/data/upload/1/0123abc{number}-{name}",
                [one for count, plate in enumerate(found) for one in label_studio_plate(count, *plate)],
            )
            for number, (name, found) in enumerate(plates.items(), start=1)
        ]
        write_json(folder / f"project-{part}.json", tasks)
    save_photographs(folder / "images")


WRITERS = {
    "table": write_table,
    "coco": write_coco,
    "yolo": write_yolo,
    "voc": write_voc,
    "cvat": write_cvat,
    "label_studio": write_label_studio,
    "fast_plate_ocr": write_fast_plate_ocr,
}
