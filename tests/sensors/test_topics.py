"""Topics."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.errors import MalformedError
from sensors.topics import OBSERVED, Kind, Topics

LEVEL = st.from_regex(r"[a-z0-9][a-z0-9-]{0,62}", fullmatch=True)
KINDS: list[Kind] = ["load", "image", "inspection", "state", "event"]


@given(site=LEVEL, part=LEVEL, kind=st.sampled_from(KINDS))
def test_a_built_topic_is_parsed_back(site: str, part: str, kind: Kind) -> None:
    topics = Topics("acme/twin")
    assert topics.parsed(topics.of(f"{site}/{part}", kind)) == (f"{site}/{part}", kind)


def test_the_builders_write_the_documented_topics() -> None:
    topics = Topics()
    assert topics.load("plant-a/press-1") == "twin/v1/plant-a/press-1/load"
    assert topics.image("plant-a/press-1") == "twin/v1/plant-a/press-1/image"
    assert topics.inspection("plant-a/press-1") == "twin/v1/plant-a/press-1/inspection"
    assert topics.state("plant-a/press-1") == "twin/v1/plant-a/press-1/state"
    assert topics.event("plant-a/press-1") == "twin/v1/plant-a/press-1/event"


def test_the_subscriptions_are_what_sensors_publish() -> None:
    assert Topics().subscriptions == [
        "twin/v1/+/+/load",
        "twin/v1/+/+/image",
        "twin/v1/+/+/inspection",
    ]
    assert set(OBSERVED) < set(KINDS)


@pytest.mark.parametrize("length", [1, 63])
def test_a_name_of_a_permitted_length_is_read(length: int) -> None:
    assert Topics().parsed(f"twin/v1/{'a' * length}/b/load") == (f"{'a' * length}/b", "load")


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "load",
        "twin/v1/plant-a/press-1",
        "twin/v1/plant-a/press-1/",
        "twin/v1/plant-a/press-1/Load",
        "twin/v1/plant-a/press-1/load/",
        "twin/v1/plant-a/press-1/load\n",
        "twin/v1/plant-a/cell/press-1/load",
        "twin/v1//press-1/load",
        "twin/v1/Plant/press-1/load",
        "twin/v1/plant_a/press-1/load",
        "twin/v1/-plant/press-1/load",
        "twin/v1/plänt/press-1/load",
        "twin/v1/+/press-1/load",
        "twin/v1/plant-a/press\n/load",
        f"twin/v1/{'a' * 64}/press-1/load",
        "twin/v2/plant-a/press-1/load",
        "twin/plant-a/press-1/load",
        "/twin/v1/plant-a/press-1/load",
        "plant-a/press-1/load",
    ],
)
def test_any_other_topic_is_refused_with_its_text(topic: str) -> None:
    with pytest.raises(MalformedError, match="topic '") as caught:
        Topics().parsed(topic)
    assert caught.value.reason == "topic"


@pytest.mark.parametrize("component", ["", "press-1", "a/b/c", "a/+", "A/b", "a/b\n"])
def test_a_component_that_is_not_two_names_gets_no_topic(component: str) -> None:
    with pytest.raises(MalformedError, match="does not name a site and a component"):
        Topics().load(component)


@pytest.mark.parametrize(
    "root", ["", "/twin", "twin/", "twin//v1", "twin/#", "+", "$share/ x", "a\n"]
)
def test_a_root_that_no_topic_can_have_is_refused(root: str) -> None:
    with pytest.raises(ValueError, match="topic root"):
        Topics(root)


@pytest.mark.parametrize(
    ("topic", "says"),
    [
        (
            "twin/v1/plant-a/press-1/loads",
            "does not end in load, image or inspection: publish to twin/v1/plant-a/press-1/load",
        ),
        ("twin/v1/plant-a/press-1/Load", "publish to twin/v1/plant-a/press-1/load"),
        ("twin/v1/plant-a/press-1/inspect", "publish to twin/v1/plant-a/press-1/inspection"),
        ("twin/v1/plant-a/press-1/foo", "publish to twin/v1/{site}/{component}/load, image or"),
        ("twin/v1/press-1/load", "lacks its site, its component or its kind below twin/v1: publ"),
        ("twin/v1", "lacks all that matters below twin/v1: publish to twin/v1/{site}/{component}"),
        ("twin/v1/v2/plant-a/press-1/load", "has 4 levels below twin/v1, not three"),
        (
            "twin/v2/plant-a/press-1/load",
            "is not below twin/v1: publish to twin/v1/plant-a/press-1/",
        ),
        (
            "twin/V1/plant-a/press-1/load",
            "is not below twin/v1: publish to twin/v1/plant-a/press-1/",
        ),
        (
            "twin/plant-a/press-1/load",
            "is not below twin/v1: publish to twin/v1/plant-a/press-1/load",
        ),
        (
            "Twin/v1/plant-a/press-1/load",
            "is not below twin/v1: publish to twin/v1/plant-a/press-1/load",
        ),
        (
            "TWIN/V1/plant-a/press-1/load",
            "is not below twin/v1: publish to twin/v1/plant-a/press-1/load",
        ),
        ("twin/v2/whatever", "is not below twin/v1: publish to twin/v1/{site}/{component}/load"),
    ],
)
def test_the_right_form_is_named(topic: str, says: str) -> None:
    with pytest.raises(MalformedError) as caught:
        Topics().parsed(topic)
    assert says in str(caught.value)
    assert str(caught.value).startswith(f"topic '{topic}' ")


def test_what_misses_the_root_is_watched_only_beside_a_version() -> None:
    assert Topics("acme/twin").beside == []
    assert Topics("twin").beside == []
    beside = Topics("acme/twin/v3").beside
    assert "acme/twin/v1/#" in beside
    assert "acme/twin/+/+/load" in beside
    assert not any(f.startswith("acme/twin/v3/") for f in beside)


@pytest.mark.parametrize(
    ("topic", "outgoing"),
    [
        ("twin/v1/plant-a/press-1/state", True),
        ("twin/v1/plant-a/press-1/event", True),
        ("twin/v2/plant-a/press-1/state", True),
        ("twin/v1/press-1/state", False),
        ("twin/v1/plant-a/press-1/load", False),
        ("twin/v1/plant-a/press-1/states", False),
    ],
)
def test_what_the_twin_says_itself_is_told_from_what_it_is_told(topic: str, outgoing: bool) -> None:
    assert Topics().is_outgoing(topic) is outgoing


def test_a_version_in_capitals_is_watched_too() -> None:
    assert "twin/V1/#" in Topics("twin/v1").beside


def test_a_root_in_other_capitals_is_watched_too() -> None:
    beside = Topics("twin/v1").beside
    assert {"Twin/v1/#", "TWIN/v1/#", "Twin/V1/#", "TWIN/V1/#"} <= set(beside)
    assert len(set(beside)) == len(beside)
    deeper = Topics("acme/twin/v3").beside
    assert {"Acme/Twin/v3/#", "ACME/TWIN/v3/#", "acme/Twin/v3/#", "ACME/twin/v3/#"} <= set(deeper)
    assert not any(f.startswith("acme/twin/v3/") for f in deeper)
