"""What goes wrong in the middle of updates, in each phase and by both protocols."""

from collections.abc import Callable
from functools import partial
from hashlib import sha256

import pytest

from cyan.sim import oserrors
from cyan.sim.facts import EndReason, Fact, FaultHappened, State, UpdateEnded
from cyan.sim.faults import combine_faults, parse_fault
from cyan.sim.flash import SYNC_BYTES
from cyan.sim.tables import TableError
from cyan.sim.updatefaults import Phase, Trouble, UpdateFault
from cyan.wire import coap
from cyan.wire.describe.system import SYSTEM_PART, ModuleDependency
from cyan.wire.errors import MalformedError
from cyan.wire.messages import encode_function_call
from cyan.wire.messages.updates import (
    UpdateFinish,
    UpdateStart,
    decode_diagnostic,
    decode_update_ack,
    decode_update_started,
    decode_update_statistics,
    encode_update_chunk,
    encode_update_finish,
    encode_update_start,
)
from cyan.wire.messages.updates_legacy import (
    UpdateBegin,
    decode_update_ready,
    decode_update_result,
    encode_update_begin,
    encode_update_done,
)
from tests.sim.field_world import FieldWorld
from tests.sim.updating import CHUNK, TOKEN, encode_legacy, user_part

ARGON_FILE = user_part(bytes(range(256)) * 100)
ELECTRON_FILE = user_part(
    bytes(range(256)) * 100,
    platform_id=10,
    dependencies=(ModuleDependency(SYSTEM_PART, 2, 2302),),
)
PHASES = [phase.value for phase in Phase]
KINDS = [trouble.value for trouble in Trouble]


class Updating:
    """A cloud that sends one file step by step, and goes on whatever the device says."""

    def __init__(self, *faults: str, platform: str = "argon", seed: str = "tests") -> None:
        self.world = FieldWorld(*faults, platform=platform, seed=seed)
        self.is_current = platform == "argon"
        self.file = ARGON_FILE if self.is_current else ELECTRON_FILE
        self.offset = 0
        self.world.run(1.0)
        assert self.world.device.state is State.ONLINE

    def start(self) -> list[coap.Message]:
        file = self.file
        if not self.is_current:
            begin = UpdateBegin(True, CHUNK, len(file))
            return self.ask(lambda id_: encode_update_begin(id_, TOKEN, begin))
        start = UpdateStart(len(file), CHUNK, self.digest)
        answers = self.ask(lambda id_: encode_update_start(id_, TOKEN, start))
        if answers and answers[-1].code == coap.CREATED:
            self.offset = int.from_bytes(
                coap.find_option(answers[-1], coap.FILE_SIZE) or b"", "big"
            )
        return answers

    def chunks(self) -> list[coap.Message]:
        answers = []
        for index, at in enumerate(range(self.offset, len(self.file), CHUNK)):
            data = self.file[at : at + CHUNK]
            if self.is_current:
                answers += self.ask(partial(encode_update_chunk, index=index + 1, data=data))
            else:
                answers += self.ask(partial(encode_legacy, data=data, index=index))
        return answers

    def finish(self) -> list[coap.Message]:
        if self.is_current:
            return self.ask(lambda id_: encode_update_finish(id_, TOKEN, UpdateFinish()))
        return self.ask(lambda id_: encode_update_done(id_, TOKEN))

    def until(self, phase: Phase) -> list[coap.Message]:
        """Goes on until a phase; returns what was said to it."""
        answers = self.start()
        if phase is not Phase.START:
            answers = self.chunks()
            if phase is not Phase.CHUNKS:
                answers = self.finish()
        return answers

    def ask(self, encode: Callable[[int], bytes]) -> list[coap.Message]:
        before = len(self.world.cloud.heard)
        self.world.ask(encode)
        return self.world.cloud.messages()[before:]

    @property
    def digest(self) -> bytes:
        return sha256(self.file).digest()

    @property
    def is_updated(self) -> bool:
        return self.world.device.device.updater.firmware is not None

    @property
    def ended(self) -> list[int]:
        return [fact.code for fact in self.world.of(UpdateEnded) if isinstance(fact, UpdateEnded)]

    def again(self) -> None:
        """The whole update once more, without what goes wrong once only."""
        self.offset = 0
        self.until(Phase.FINISH)
        self.world.run(5.0)
        assert self.is_updated


BOTH = pytest.mark.parametrize("platform", ["argon", "electron"])
EACH_PHASE = pytest.mark.parametrize("phase", list(Phase), ids=PHASES)


@BOTH
@EACH_PHASE
def test_a_silent_device_says_nothing_for_its_time_and_then_goes_on(
    platform: str, phase: Phase
) -> None:
    updating = Updating(f"update-silent phase={phase.value} for_s=30", platform=platform)
    updating.until(phase)
    world = updating.world
    assert [fact.kind for fact in world.faults] == ["update-silent"]
    assert world.ends[-1][1] is EndReason.SLEEP
    before = len(world.cloud.heard)
    world.run(29.0)
    assert len(world.cloud.heard) == before
    world.run(3.0)
    assert world.device.state is State.ONLINE
    assert world.handshakes[-1][1], "with its session"
    assert not updating.is_updated
    updating.again()


@BOTH
@pytest.mark.parametrize("phase", [Phase.START, Phase.CHUNKS, Phase.FINISH])
def test_a_slow_device_does_all_of_it_later(platform: str, phase: Phase) -> None:
    where = " done=0" if phase is Phase.CHUNKS else ""
    updating = Updating(f"update-slow phase={phase.value} for_s=3{where}", platform=platform)
    world = updating.world
    answers = updating.until(phase)
    is_told_at_once = platform == "argon" and phase is not Phase.CHUNKS
    assert [answer.code for answer in answers] == [coap.EMPTY] * is_told_at_once
    before = len(world.cloud.heard)
    world.run(2.9)
    assert len(world.cloud.heard) == before
    world.run(0.2)
    assert len(world.cloud.heard) > before or (platform, phase) == ("electron", Phase.CHUNKS)
    if phase is Phase.CHUNKS:
        updating.finish()
    world.run(5.0)
    if phase is Phase.START:
        updating.chunks()
        updating.finish()
        world.run(5.0)
    assert updating.is_updated
    assert world.ends[-1][1] is EndReason.RESTART


@BOTH
@EACH_PHASE
def test_a_power_cut_leaves_what_was_written_down(platform: str, phase: Phase) -> None:
    fault = f"update-power-cut phase={phase.value} done=0.5 for_s=2"
    if phase is not Phase.CHUNKS:
        fault = fault.replace(" done=0.5", "")
    updating = Updating(fault, platform=platform)
    updating.until(phase)
    world = updating.world
    assert world.ends[-1][1] is EndReason.MEMORY_LOST
    world.run(5.0)
    assert world.device.state is State.ONLINE
    assert not updating.is_updated, "what ran before runs"
    updating.start()
    if platform == "argon":
        whole = len(updating.file)
        expected = {Phase.START: 0, Phase.CHUNKS: whole // 2}.get(phase, whole)
        assert expected - 2 * SYNC_BYTES < updating.offset <= expected
    world.run(400.0)
    updating.again()


@BOTH
@EACH_PHASE
def test_a_stuck_device_takes_no_notice_of_the_update_but_lives(
    platform: str, phase: Phase
) -> None:
    updating = Updating(f"update-stuck phase={phase.value}", platform=platform)
    updating.until(phase)
    world = updating.world
    world.run(1.0)
    if updating.is_current:
        assert not [answer for answer in updating.finish() if answer.code != coap.EMPTY]
    answers = updating.ask(lambda id_: encode_function_call(id_, TOKEN, "led", "on"))
    assert [answer.payload for answer in answers if answer.code == coap.CHANGED] == [b"\0\0\0\1"]
    assert not updating.is_updated
    world.run(200.0)
    assert world.device.state is State.ONLINE
    assert not updating.is_updated
    world.device.device.stop(world.now)
    world.device.device.resume(world.now)
    world.run(5.0)
    updating.again()


@BOTH
@EACH_PHASE
def test_a_refusal_is_told_as_firmware_tells_it(platform: str, phase: Phase) -> None:
    updating = Updating(f"update-refused phase={phase.value} code=-260", platform=platform)
    answers = updating.until(phase)
    if phase is Phase.CHUNKS and platform == "electron":
        answers = updating.finish()
    world = updating.world
    assert updating.ended == [-260]
    told = answers[-1]
    if platform == "electron":
        if phase is Phase.START:
            assert (told.type, told.code) == (coap.ACK, coap.SERVICE_UNAVAILABLE)
        elif phase is not Phase.RESTART:
            assert decode_update_result(told.payload) == -260
    elif phase is Phase.CHUNKS:
        assert coap.RST in [answer.type for answer in answers]
    elif phase is Phase.RESTART:
        assert told.code == coap.CHANGED
    else:
        assert decode_diagnostic(told.payload).code == -260
    world.run(5.0)
    assert world.device.state is State.ONLINE
    assert not updating.is_updated
    updating.again()


def is_sense(phase: Phase, answer: coap.Message) -> bool:
    """Whether a server would believe it."""
    try:
        if phase is Phase.START:
            started = decode_update_started(answer)
            return answer.code == coap.CREATED and started.offset <= len(ARGON_FILE)
        if phase is Phase.CHUNKS:
            return decode_update_ack(answer).index <= len(ARGON_FILE) // CHUNK + 1
        decode_update_statistics(answer.payload)
        return answer.code == coap.CHANGED
    except MalformedError:
        return False


@pytest.mark.parametrize("phase", [Phase.START, Phase.FINISH])
def test_nonsense_is_answered_by_the_current_protocol(phase: Phase) -> None:
    updating = Updating(f"update-nonsense phase={phase.value} times=3")
    for _ in range(3):
        answers = [answer for answer in updating.until(phase) if answer.code != coap.EMPTY]
        assert answers
        assert not is_sense(phase, answers[-1])
    assert not updating.is_updated
    updating.world.run(400.0)
    updating.again()


def test_nonsense_is_said_of_chunks_until_the_update_ends() -> None:
    updating = Updating("update-nonsense phase=chunks done=0")
    updating.start()
    answers = updating.chunks()
    assert sum(not is_sense(Phase.CHUNKS, answer) for answer in answers) > len(answers) / 4
    updating.again()


def test_nonsense_is_answered_by_the_legacy_protocol() -> None:
    updating = Updating("update-nonsense phase=start times=2", platform="electron")
    for _ in range(2):
        answer = updating.start()[-1]
        try:
            is_ready = answer.code == coap.CHANGED and decode_update_ready(answer.payload)
        except MalformedError:
            is_ready = False
        assert not is_ready
    updating.again()


@BOTH
def test_a_device_may_restart_with_what_it_ran_before(platform: str) -> None:
    updating = Updating("update-nonsense phase=restart", platform=platform)
    updating.until(Phase.RESTART)
    updating.world.run(5.0)
    assert updating.world.device.state is State.ONLINE
    assert updating.ended == [0]
    assert not updating.is_updated
    updating.again()


def test_the_same_seed_has_the_same_faults() -> None:
    def run(seed: str) -> list[tuple[float, Fact]]:
        updating = Updating(
            "update-power-cut phase=chunks times=always share=0.7 for_s=[1,9]", seed=seed
        )
        for _ in range(4):
            updating.until(Phase.CHUNKS)
            updating.world.run(20.0)
        return [fact for fact in updating.world.facts if isinstance(fact[1], FaultHappened)]

    assert run("one") == run("one")
    assert len({str(run(seed)) for seed in ("one", "two", "three", "four")}) > 2


def test_faults_of_updates_are_read_with_their_settings() -> None:
    faults = combine_faults(
        map(
            parse_fault,
            (
                "update-silent phase=chunks done=[0.2,0.4] for_s=[5,6] share=0.5 times=always",
                "update-refused phase=start code=-1380",
                "update-power-cut phase=restart session=kept",
            ),
        )
    )
    silent, refused, cut = faults.updates
    assert silent == UpdateFault(Trouble.SILENT, Phase.CHUNKS, None, 0.5, (0.2, 0.4), (5.0, 6.0))
    assert (refused.code, refused.times) == (oserrors.UPDATES_DISABLED, 1)
    assert cut.keeps_session


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("update-silent", "phase is one of start, chunks, finish, restart, not nothing"),
        ("update-silent phase=middle", "phase is one of"),
        ("update-stuck phase=start for_s=3", "for_s means nothing"),
        ("update-stuck phase=start done=0.5", "done means nothing"),
        ("update-refused phase=start code=0", "code is a whole number from -9999 to -1"),
        ("update-stuck phase=start times=0", "times is a whole number from 1 to 1000"),
        ("update-slow phase=restart for_s=3", "phase is one of start, chunks, finish, not"),
        ("update-slow phase=start", "for_s is a number"),
        ("updates-disabled at_s=[1]", "for_s is a number"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(fault: str, reason: str) -> None:
    with pytest.raises(TableError, match=reason.replace("[", r"\[")):
        combine_faults([parse_fault(fault)])
