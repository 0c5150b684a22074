"""Which fonts plates are drawn with: those of `fontpkg-*` packages, all under the SIL Open Font License 1.1."""

from __future__ import annotations

Faces = tuple[tuple[str, int, float], ...]  # family, weight, how often it is drawn
# Narrow, straight-sided faces near DIN 1451, as on Tunisian and many other plates.
FACES: Faces = (
    ("barlow", 400, 1.0),
    ("barlow", 500, 2.0),
    ("barlow", 600, 2.5),
    ("barlow-condensed", 500, 2.0),
    ("barlow-condensed", 600, 3.0),
    ("barlow-condensed", 700, 1.5),
    ("saira-condensed", 500, 1.0),
    ("saira-condensed", 700, 1.0),
    ("rajdhani", 600, 0.7),
    ("rajdhani", 700, 1.0),
)
# What the plates of any country may be set in: those, and faces like those of road signs, of print, of old typewriters
# (a 1 and an I with serifs, a 0 with a stroke), square ones, round ones, very narrow ones. Together about as often.
ANY_FACES: Faces = (
    *FACES,
    ("archivo-narrow", 600, 0.8),
    ("arimo", 500, 0.8),
    ("arimo", 700, 1.0),
    ("bebas-neue", 400, 0.7),
    ("chakra-petch", 600, 0.8),
    ("dosis", 600, 0.8),
    ("ibm-plex-sans-condensed", 600, 0.8),
    ("jost", 500, 0.5),
    ("oswald", 400, 0.8),
    ("oswald", 600, 0.5),
    ("overpass", 600, 1.2),
    ("overpass", 800, 0.6),
    ("roboto-condensed", 600, 0.8),
    ("roboto-mono", 600, 1.0),
    ("share-tech", 400, 1.0),
    ("smooch-sans", 600, 0.7),
    ("teko", 500, 0.5),
    ("titillium-web", 600, 0.8),
    ("varela-round", 400, 0.8),
)
ARABIC_FACES: Faces = (
    ("amiri", 400, 3.0),
    ("amiri", 700, 4.0),
    ("noto-sans-arabic", 500, 0.8),
    ("noto-sans-arabic", 700, 0.8),
    ("noto-kufi-arabic", 500, 0.5),
)
# The faces of other scripts; a script that is not here is looked for among the fonts above and those of the machine.
SCRIPT_FACES: dict[str, Faces] = {
    "ARABIC": (*ARABIC_FACES, ("cairo", 600, 1.0), ("cairo", 800, 1.0)),
    "CYRILLIC": (("roboto-condensed", 500, 1.0), ("roboto-condensed", 700, 1.0)),
    "GREEK": (("roboto-condensed", 500, 1.0), ("roboto-condensed", 700, 1.0)),
    "HEBREW": (("heebo", 500, 1.0), ("heebo", 700, 1.0)),
    "THAI": (("sarabun", 500, 1.0), ("sarabun", 700, 1.0), ("noto-sans-thai", 500, 1.0), ("noto-sans-thai", 700, 1.0)),
    # Rajdhani has this script too, but draws its digits like Latin ones.
    "DEVANAGARI": (("noto-sans-devanagari", 500, 1.0), ("noto-sans-devanagari", 700, 1.0)),
}
