"""The simulated plant: determined by its seed, honest about its truth, faulty on request."""

import itertools
import math
from collections import Counter, defaultdict
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from sensors.errors import MalformedError
from sensors.observation import AnyObservation, Inspection, Series, Spectrum
from sensors.payload.decode import decode
from sensors.simulation.faults import NO_FAULTS, LossyLink, Rates
from sensors.simulation.parts import Block, Duty, Part, TrueCrack, life, stress_intensity
from sensors.simulation.plant import Plant, PlantSettings, fleet
from sensors.timed import Timed

START_NS = 1_800_000_000_000_000_000
SECOND_NS = 1_000_000_000
QUIET = PlantSettings(parts=6, faults=NO_FAULTS)
ROUGH = replace(
    QUIET,
    faults=Rates(loss=0.05, silence=0.01, duplicate=0.1, late=0.1, malformed=0.1, silence_s=5.0),
)


def sent(settings: PlantSettings, seconds: float) -> list[Timed]:
    end_ns = START_NS + round(seconds * SECOND_NS)
    messages = Plant(settings).messages(START_NS)
    return list(itertools.takewhile(lambda timed: timed.t_ns < end_ns, messages))


def read(timed: Timed) -> AnyObservation:
    message = timed.message
    return decode(message.topic, message.payload, message.content_type, message.properties)


def stretch(settings: PlantSettings, seconds: float) -> Plant:
    plant = Plant(settings)
    end_ns = START_NS + round(seconds * SECOND_NS)
    next(timed for timed in plant.messages(START_NS) if timed.t_ns >= end_ns)
    return plant


def key(timed: Timed) -> tuple[str, str, int]:
    observation = read(timed)
    return observation.component, observation.source, observation.seq


def test_the_same_seed_sends_the_same_messages() -> None:
    assert sent(ROUGH, 120.0) == sent(ROUGH, 120.0)


def test_another_seed_sends_others() -> None:
    assert sent(ROUGH, 5.0) != sent(replace(ROUGH, seed=1), 5.0)


def test_messages_begin_anew_with_every_call() -> None:
    plant = Plant(QUIET)
    first = list(itertools.islice(plant.messages(START_NS), 1000))
    assert list(itertools.islice(plant.messages(START_NS), 1000)) == first


def test_more_parts_do_not_alter_those_that_were_there() -> None:
    few, many = sent(QUIET, 60.0), sent(replace(QUIET, parts=9), 60.0)
    names = {table["name"] for table in fleet(QUIET)}
    assert [t for t in many if "/".join(t.message.topic.split("/")[2:4]) in names] == few


def test_faults_do_not_alter_what_really_happens() -> None:
    quiet, rough = stretch(QUIET, 200.0), stretch(ROUGH, 200.0)
    assert [quiet.truth(n) for n in quiet.names] == [rough.truth(n) for n in rough.names]


def test_messages_are_due_in_order() -> None:
    due = [timed.t_ns for timed in sent(ROUGH, 300.0)]
    assert due == sorted(due)


def test_a_message_is_never_due_before_what_it_tells() -> None:
    for timed in sent(ROUGH, 60.0):
        if timed.genuine:
            observation = read(timed)
            length_ns = SECOND_NS if isinstance(observation, Series) else 0
            assert observation.t_ns + length_ns <= timed.t_ns


def test_every_part_speaks_once_a_second() -> None:
    counts = Counter(read(t).component for t in sent(QUIET, 31.0) if "/load" in t.message.topic)
    assert len(counts) == 6
    assert set(counts.values()) <= {29, 30}


def test_every_genuine_message_can_be_read_whatever_its_form() -> None:
    forms = {timed.message.content_type for timed in sent(QUIET, 3.0)}
    assert forms == {"application/json", "application/msgpack"}
    kinds = {type(read(timed)) for timed in sent(QUIET, 600.0)}
    assert kinds == {Series, Spectrum, Inspection}


def test_every_malformed_message_is_refused_with_a_reason() -> None:
    bad = [timed for timed in sent(ROUGH, 300.0) if timed.fault == "malformed"]
    reasons = set()
    for timed in bad:
        with pytest.raises(MalformedError) as caught:
            read(timed)
        reasons.add(caught.value.reason)
    assert len(bad) > 100
    assert {"field", "json", "msgpack"} <= reasons


def test_a_duplicate_repeats_a_genuine_message_that_came_before() -> None:
    seen, duplicates = set(), 0
    for timed in sent(ROUGH, 120.0):
        if timed.genuine:
            seen.add(timed.message.payload)
        elif timed.fault == "duplicate":
            assert timed.message.payload in seen
            duplicates += 1
    assert duplicates > 30


def test_a_genuine_key_comes_once() -> None:
    keys = Counter(key(timed) for timed in sent(ROUGH, 300.0) if timed.genuine)
    assert max(keys.values()) == 1


def test_without_faults_no_number_is_missing() -> None:
    numbers = defaultdict(list)
    for timed in sent(QUIET, 400.0):
        component, source, seq = key(timed)
        numbers[component, source].append(seq)
    assert all(seqs == list(range(len(seqs))) for seqs in numbers.values())


def test_a_lost_message_leaves_a_gap_in_the_numbers() -> None:
    lossy = replace(QUIET, faults=replace(NO_FAULTS, loss=0.2))
    numbers = defaultdict(list)
    for timed in sent(lossy, 200.0):
        component, source, seq = key(timed)
        numbers[component, source].append(seq)
    seqs = numbers["plant-a/press-01", "daq-1"]
    assert 0.7 < len(seqs) / (seqs[-1] + 1) < 0.9


def test_late_messages_come_out_of_order_and_not_too_late() -> None:
    late = [timed for timed in sent(ROUGH, 300.0) if timed.fault == "late"]
    delays = [(timed.t_ns - read(timed).t_ns) / SECOND_NS for timed in late]
    assert len(late) > 100
    assert max(delays) <= ROUGH.faults.late_s + 1.1
    assert max(delays) > 5.0  # behind the twin's usual watermark


@pytest.mark.parametrize(("rate", "expected"), [(0.0, 0), (1.0, 50)])
def test_a_rate_of_zero_never_happens_and_of_one_always(rate: float, expected: int) -> None:
    link = LossyLink(replace(NO_FAULTS, duplicate=rate), np.random.default_rng(0))
    timed = sent(QUIET, 2.0)[0]
    arrived = [t for _ in range(50) for t in link.delivered(timed)]
    assert sum(t.fault == "duplicate" for t in arrived) == expected


def test_a_silence_lasts_as_long_as_it_should() -> None:
    link = LossyLink(replace(NO_FAULTS, silence=1.0, silence_s=3.0), np.random.default_rng(0))
    timed = sent(QUIET, 2.0)[0]
    assert list(link.delivered(timed)) == []
    link._rates = replace(NO_FAULTS)
    ages = [2.9, 3.0, 3.1]
    heard = [list(link.delivered(timed._replace(t_ns=timed.t_ns + round(a * 1e9)))) for a in ages]
    assert [len(h) for h in heard] == [0, 1, 1]


@pytest.mark.parametrize("rate", [-0.001, 1.001, math.nan])
def test_a_rate_outside_of_zero_to_one_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="duplicate = "):
        Rates(duplicate=rate)


@pytest.mark.parametrize("parts", [0, 1_000_001])
def test_an_impossible_number_of_parts_is_refused(parts: int) -> None:
    with pytest.raises(ValueError, match=f"parts = {parts}"):
        PlantSettings(parts=parts)


def test_a_registration_has_exactly_the_keys_of_the_fleet_file() -> None:
    for table in fleet(PlantSettings()):
        assert set(table) == {"name", "crack", "calibration"}
        crack = table["crack"]
        keys = {"law", "geometry", "crack_length", "crack_limit", "inspection"}
        assert set(crack) == keys
        assert set(crack["law"]) == {"kind", "C", "m", "dK_th"}
        assert crack["crack_length"] < crack["crack_limit"] < crack["geometry"]["W"]


def test_the_truth_is_near_the_registration_but_not_equal_to_it() -> None:
    settings = PlantSettings(parts=200)
    plant = Plant(settings)
    ratios = [plant.truth(t["name"]).a / t["crack"]["crack_length"] for t in fleet(settings)]
    assert 0.02 < np.std(np.log(ratios)) < 0.04
    coefficients = [plant.truth(t["name"]).C for t in fleet(settings)]
    assert len(set(coefficients)) == 200


def test_the_constants_of_the_material_correlate() -> None:
    plant = Plant(PlantSettings(parts=200))
    truths = [plant.truth(name) for name in plant.names]
    C, m = np.log([t.C for t in truths]), [t.m for t in truths]
    assert np.corrcoef(C, m)[0, 1] < -0.98


def test_an_unknown_part_has_no_truth() -> None:
    with pytest.raises(KeyError):
        Plant(QUIET).truth("plant-a/nothing")


def test_inspections_scatter_around_the_truth_as_stated() -> None:
    settings = replace(QUIET, inspect_every_s=1.0, inspection_sd=5e-5)
    plant = Plant(settings)
    errors = []
    for timed in itertools.islice(plant.messages(START_NS), 4000):
        observation = read(timed)
        if isinstance(observation, Inspection):
            errors.append(observation.crack_length - plant.truth(observation.component).a)
            assert observation.crack_length_sd == pytest.approx(5e-5)
    assert len(errors) > 1500
    assert abs(np.mean(errors)) < 4 * 5e-5 / math.sqrt(len(errors))
    assert np.std(errors) == pytest.approx(5e-5, rel=0.1)


def test_spectra_hold_the_cycles_that_the_crack_has_seen() -> None:
    plant = stretch(QUIET, 100.0)
    name = plant.names[0]
    spectra = [o for o in map(read, sent(QUIET, 120.0)) if isinstance(o, Spectrum)]
    cycles = sum(
        int(np.frombuffer(o.cycles).reshape(-1, 3)[:, 2].sum())
        for o in spectra
        if o.component == name
    )
    assert cycles == pytest.approx(plant.truth(name).cycles, abs=25 * 20)
    assert plant.truth(name).cycles % 20 == 0  # at 20 Hz


def test_a_series_has_the_ranges_of_its_cycles() -> None:
    series = [o for o in map(read, sent(QUIET, 20.0)) if isinstance(o, Series)]
    for o in series:
        samples = np.frombuffer(o.tension)
        assert len(samples) == 100
        assert o.rate_hz == 100.0
        valleys, peaks = samples[::20], samples[10::20]
        assert np.ptp(valleys) < 1e-6 * samples.max()
        assert (peaks > valleys).all()
        assert samples.max() == peaks.max()
    starts = [o.t_ns for o in series]
    assert set(np.diff(starts).tolist()) == {SECOND_NS}  # without a gap between messages


def test_some_series_are_strain() -> None:
    settings = replace(QUIET, parts=12)
    series = [o for o in map(read, sent(settings, 4.0)) if isinstance(o, Series)]
    by_quantity = {o.quantity: np.frombuffer(o.tension).max() for o in series}
    assert by_quantity["stress"] > 1e7
    assert 1e-5 < by_quantity["strain"] < 5e-3


def test_cracks_visibly_grow_within_twenty_seconds_of_watching() -> None:
    settings = PlantSettings(parts=3, faults=NO_FAULTS)
    before, after = Plant(settings), stretch(settings, 20 * settings.speed)
    growth = [after.truth(n).a / before.truth(n).a - 1 for n in after.names]
    assert growth[0] > 0.05
    assert growth[1] > 0.02


@pytest.mark.parametrize("speed", [10.0, 60.0, 600.0])
def test_few_cracks_reach_their_limits_within_ten_minutes_of_watching(speed: float) -> None:
    settings = PlantSettings(speed=speed)
    plant = Plant(settings)
    lives = [life(plant._cracks[name].part) for name in plant.names]
    assert sum(seconds < 600 * speed for seconds in lives) == 2
    assert lives[:2] == pytest.approx([240 * speed, 450 * speed], rel=0.02)


def test_the_mean_life_foretells_the_real_one() -> None:
    settings = PlantSettings(parts=1, speed=10.0, faults=NO_FAULTS, inspect_every_s=1e9)
    plant = Plant(settings)
    limit = fleet(settings)[0]["crack"]["crack_limit"]
    reached = next(t for t in plant.messages(0) if plant.truth(plant.names[0]).a >= limit)
    assert reached.t_ns / 1e9 == pytest.approx(2400.0, rel=0.3)  # the level swings by 10 %


def test_a_part_behind_its_limit_is_taken_out_of_load() -> None:
    settings = PlantSettings(parts=1, speed=1.0, faults=NO_FAULTS, inspect_every_s=1e9)
    plant, table = Plant(settings), fleet(settings)[0]
    last = list(itertools.islice(plant.messages(0), 2000))[-1]
    a = plant.truth(table["name"]).a
    crack = table["crack"]
    assert 1.15 * crack["crack_limit"] <= a < crack["geometry"]["W"]
    observation = read(last)
    assert isinstance(observation, Spectrum)
    assert np.frombuffer(observation.cycles).reshape(-1, 3)[:, 0].max() < 30e6


def test_micrographs_are_sent_on_request() -> None:
    settings = replace(QUIET, image_every_s=60.0)
    images = [t.message for t in sent(settings, 70.0) if t.message.topic.endswith("/image")]
    assert 6 <= len(images) <= 8
    assert images[0].properties["kind"] == "microstructure"
    with Image.open(BytesIO(images[0].payload)) as image:
        assert image.size == (96, 96)
    assert not [t for t in sent(QUIET, 70.0) if t.message.topic.endswith("/image")]


def test_few_messages_wait_however_many_were_sent() -> None:
    plant = Plant(replace(QUIET, faults=Rates(late=0.5, late_s=10.0)))
    due = [t.t_ns for t in itertools.islice(plant.messages(START_NS), 3000)]
    # Whatever is not yet sent was measured at most `late_s` before what was.
    assert due[-1] - START_NS < (3000 / 6 + 12) * SECOND_NS


def steel(**changes: float) -> Part:
    part = Part(
        name="a/b",
        coefficient=6.9e-30,
        exponent=3.0,
        width=1e3,  # F is 1.1215 throughout
        expected=0.001,
        initial=0.001,
        limit=0.01,
        duty=Duty((1.0,), rate=100),
        stress=100e6,
    )
    return replace(part, **changes)  # type: ignore[arg-type]  # floats only


def test_the_life_of_a_crack_in_a_wide_plate_is_that_of_the_closed_form() -> None:
    part = steel()
    shape = 0.752 + 0.37
    factor = part.coefficient * (shape * part.stress * math.sqrt(math.pi)) ** 3
    cycles = (0.001**-0.5 - 0.01**-0.5) / (0.5 * factor)
    assert life(part) * 100 == pytest.approx(cycles, rel=1e-3)


def test_growing_block_by_block_agrees_with_the_life() -> None:
    crack, seconds = TrueCrack(steel()), 0
    while crack.a < 0.01:
        crack.grow([Block(100e6, 50e6, 100)])
        seconds += 1
    assert seconds == pytest.approx(life(steel()), rel=2e-3)
    assert crack.cycles == 100 * seconds


@pytest.mark.parametrize(("share", "grows"), [(0.999, False), (1.0, False), (1.001, True)])
def test_a_crack_grows_only_above_its_threshold(share: float, grows: bool) -> None:
    crack = TrueCrack(steel())
    stress = share * 2e6 / stress_intensity(1.0, 0.001, 1e3) * (1 - 1e-12)
    crack.grow([Block(stress, 0.0, 10_000)])
    assert (crack.a > 0.001) == grows


@pytest.mark.parametrize(
    ("share", "shape"), [(0.1, 1.18933), (0.3, 1.66105), (0.5, 2.82539), (0.7, 6.35439)]
)
def test_the_stress_intensity_is_that_of_finite_elements(share: float, shape: float) -> None:
    a = share * 0.01
    K = stress_intensity(1e6, a, 0.01)
    assert K / (1e6 * math.sqrt(math.pi * a)) == pytest.approx(shape, rel=0.0065)
