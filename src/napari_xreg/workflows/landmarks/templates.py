"""Lists of landmarks by region: which names to pick, and which of them follow from a label map.

Names of structures are those of TotalSegmentator (tasks `total` and `appendicular_bones`).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from napari_xreg.images import TOTALSEGMENTATOR_NAMES, LabelMap


@dataclass(frozen=True)
class Rule:
    """Where a landmark lies on a structure, in the patient's axes.

    Parameters
    ----------
    toward
        The farthest point of the structure that way; ``""``: its centre.
    within
        Only this part of it: a direction and the share of its extent kept at that end, one after the other.
    beside
        The centre of the sphere that the structure's surface makes where it meets this other one.
    """

    toward: str = ""
    within: tuple[tuple[str, float], ...] = ()
    beside: str = ""


CENTRE = Rule()


@dataclass(frozen=True)
class TemplateEntry:
    """One landmark of a template.

    Parameters
    ----------
    name
        As it is picked.
    structure
        That it lies on, by its name in a label map.
    rule
        How it follows from the structure; None: it is picked by hand.
    """

    name: str
    structure: str
    rule: Rule | None = None


@dataclass(frozen=True)
class Template:
    """A list of landmarks.

    Parameters
    ----------
    title
        The region.
    entries
        In the order to pick them.
    """

    title: str
    entries: tuple[TemplateEntry, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the landmarks, in order."""
        return tuple(entry.name for entry in self.entries)

    @property
    def structures(self) -> frozenset[str]:
        """That the landmarks lie on."""
        return frozenset(entry.structure for entry in self.entries)


def templates(labels: LabelMap | None = None) -> tuple[Template, ...]:
    """Every template, the one that a label map fits best first; all as they are without a map.

    Of a template that the map has a structure of, landmarks on structures that TotalSegmentator would
    have found there, and did not, are left out. A map of other names says nothing about any.
    """
    if labels is None:
        return _ALL
    there = {labels.names[id] for id in labels.present() if id in labels.names}
    known = frozenset(TOTALSEGMENTATOR_NAMES.values())

    def share(template: Template) -> float:
        return len(template.structures & there) / len(template.structures)

    def of_the_map(template: Template) -> Template:
        if not template.structures & there:
            return template
        kept = (e for e in template.entries if e.structure in there or e.structure not in known)
        return Template(template.title, tuple(kept))

    best = sorted(_ALL, key=share, reverse=True)  # of equals the earlier one
    return tuple(map(of_the_map, best))


def _sides() -> Iterator[tuple[str, str, str, str]]:
    """Ending of a name and of a structure, and which way is lateral and which medial."""
    yield "l", "left", "left", "right"
    yield "r", "right", "right", "left"


def _both(*rules: tuple[str, str, Rule | None]) -> tuple[TemplateEntry, ...]:
    """Left and right: name, structure, rule; lateral and medial are made directions."""
    entries = []
    for name, structure, rule in rules:
        for letter, side, lateral, medial in _sides():
            ways = {"lateral": lateral, "medial": medial}
            turned = rule and Rule(
                ways.get(rule.toward, rule.toward),
                tuple((ways.get(way, way), part) for way, part in rule.within),
                rule.beside.format(side=side),
            )
            entries.append(TemplateEntry(f"{name}-{letter}", structure.format(side=side), turned))
    return tuple(entries)


_HIP, _FEMUR = "hip_{side}", "femur_{side}"
_HEAD = Rule(beside=_HIP)
_ASIS = Rule("anterior", within=(("superior", 0.6),))
# The pubic bone at the symphysis: the most medial of the lower front.
_PUBIS = (("inferior", 0.6), ("anterior", 0.5), ("medial", 0.1))
_VERTEBRAE = [
    *(f"L{n}" for n in range(1, 6)),
    *(f"T{n}" for n in range(12, 0, -1)),
    *(f"C{n}" for n in range(7, 2, -1)),
]
_BODY = Rule(within=(("anterior", 0.45),))

# The 14 of DeepFluoro: anterior superior iliac spine, femoral head, greater sciatic notch, inferior
# obturator foramen, inferior pubic symphysis, medial obturator foramen, superior pubic symphysis.
_PELVIS = Template(
    "Pelvis",
    _both(
        ("ASIS", _HIP, _ASIS),
        ("FH", _FEMUR, _HEAD),
        ("GSN", _HIP, None),
        ("IOF", _HIP, None),
        ("IPS", _HIP, Rule("inferior", within=_PUBIS)),
        ("MOF", _HIP, None),
        ("SPS", _HIP, Rule("superior", within=_PUBIS)),
    ),
)
_SPINE = Template(
    "Spine",
    tuple(
        TemplateEntry(f"{level} {part}", f"vertebrae_{level}", rule)
        for level in _VERTEBRAE
        for part, rule in (("body", _BODY), ("pedicle-l", None), ("pedicle-r", None))
    ),
)
_CHEST = Template(
    "Chest",
    (
        TemplateEntry("jugular notch", "sternum", Rule("superior")),
        TemplateEntry("xiphoid tip", "sternum", Rule("inferior")),
        TemplateEntry("carina", "trachea"),
        *_both(
            ("clavicle medial", "clavicula_{side}", Rule("medial")),
            ("clavicle lateral", "clavicula_{side}", Rule("lateral")),
            ("scapula tip", "scapula_{side}", Rule("inferior")),
            *(
                (f"rib {n} head", f"rib_{{side}}_{n}", Rule("medial", within=(("posterior", 0.5),)))
                for n in range(2, 11)
            ),
        ),
    ),
)
_HIP_JOINT = Template(
    "Hip",
    _both(
        ("FH", _FEMUR, _HEAD),
        ("greater trochanter", _FEMUR, Rule("lateral", within=(("superior", 0.25),))),
        ("lesser trochanter", _FEMUR, None),
        ("ASIS", _HIP, _ASIS),
        ("ischial tuberosity", _HIP, Rule("inferior", within=(("posterior", 0.6),))),
    ),
)
_END = (("inferior", 0.12),)
_KNEE = Template(
    "Knee",
    (
        *_both(
            ("medial epicondyle", _FEMUR, Rule("medial", within=_END)),
            ("lateral epicondyle", _FEMUR, Rule("lateral", within=_END)),
            ("intercondylar notch", _FEMUR, None),
        ),
        TemplateEntry("tibial eminence", "tibia", Rule("superior")),
        TemplateEntry("tibial tuberosity", "tibia"),
        TemplateEntry("fibular head", "fibula", Rule("superior")),
        TemplateEntry("patella centre", "patella", CENTRE),
        TemplateEntry("patella apex", "patella", Rule("inferior")),
    ),
)
_ANKLE = Template(
    "Ankle",
    (
        TemplateEntry("medial malleolus", "tibia", Rule("inferior")),
        TemplateEntry("lateral malleolus", "fibula", Rule("inferior")),
        TemplateEntry("talar dome", "tarsal"),
        TemplateEntry("calcaneal tuberosity", "tarsal"),
        TemplateEntry("navicular", "tarsal"),
        TemplateEntry("cuboid", "tarsal"),
    ),
)
# An arm lies as it may: no direction of the patient is distal.
_WRIST = Template(
    "Wrist",
    tuple(
        TemplateEntry(name, structure)
        for structure, names in (
            ("radius", ("radial styloid", "Lister's tubercle", "ulnar notch")),
            ("ulna", ("ulnar styloid", "ulnar head")),
            ("carpal", ("scaphoid", "lunate", "capitate")),
            ("metacarpal", ("metacarpal 1 base", "metacarpal 3 base", "metacarpal 3 head")),
        )
        for name in names
    ),
)
_SKULL = Template(
    "Skull",
    tuple(
        TemplateEntry(name, "skull", rule)
        for name, rule in (
            ("vertex", Rule("superior")),
            ("opisthocranion", Rule("posterior")),
            ("nasion", None),
            ("sella", None),
            ("porion-l", None),
            ("porion-r", None),
            ("orbitale-l", None),
            ("orbitale-r", None),
            ("mastoid tip-l", Rule("inferior", within=(("posterior", 0.5), ("left", 0.4)))),
            ("mastoid tip-r", Rule("inferior", within=(("posterior", 0.5), ("right", 0.4)))),
        )
    ),
)
_ALL = (_PELVIS, _SPINE, _CHEST, _HIP_JOINT, _KNEE, _ANKLE, _WRIST, _SKULL)
