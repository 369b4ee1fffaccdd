"""From the request to what the device reports: every attempt ends done or failed, and tells why."""

import asyncio

import pytest

from cyan.audit.store import list_entries
from cyan.core.ports import (
    DeviceBusyError,
    DeviceOfflineError,
    DeviceRefusedError,
    DeviceTimeoutError,
    UpdateInterruptedError,
)
from cyan.devices import description
from cyan.devices.model import DeviceReleased, DeviceStarted, UpdatesSwitched
from cyan.firmware.attempts import BEGIN_MS, VERIFY_MS, WAIT_MS
from cyan.firmware.driving import DISABLED, MAX_IDLE_TRIES, OFFLINE
from cyan.firmware.model import (
    AttemptEndedError,
    Cause,
    Reason,
    State,
    UnknownAttemptError,
    may_follow,
)
from cyan.firmware.records import has_pending
from cyan.wire.describe import Module
from cyan.wire.describe.system import USER_PART
from cyan.wire.module import parse_module
from tests.firmware.boards import break_off, confirm_only, fail_the_check, refuse
from tests.firmware.systems import BORON, make_bootloader, make_system, system
from tests.firmware.world import LAMP, Works, make_application, reach

ORDER = [
    State.QUEUED,
    State.WAITING,
    State.SENDING,
    State.SENT,
    State.VERIFYING,
    State.DONE,
]


async def test_an_update_is_done_when_the_device_reports_the_new_application(works: Works) -> None:
    board = works.board()
    data = make_application()
    attempt = await works.flash(data)
    done = await works.ended(attempt)
    assert (done.state, done.reason, done.sent_bytes, done.tries) == (
        State.DONE, None, len(data), 1,
    )  # fmt: skip
    assert board.sent == [data]
    assert works.states(attempt) == ORDER
    assert works.says() == ["started ", "success "]
    assert {owner for _, _, owner in works.events} == {works.ada.user_id}


async def test_what_a_person_sent_is_in_the_audit(works: Works) -> None:
    works.board()
    attempt = await works.flash(make_application())
    entry = list_entries(works.db, subject=f"device:{LAMP}")[0]
    assert (entry.actor, entry.action) == (f"user:{works.ada.user_id}", "device.flash_asked")
    assert entry.detail == {"files": ["a.bin"], "sha256": attempt.image_sha256}
    await works.ended(attempt)


def test_a_state_only_moves_forward() -> None:
    states = list(State)
    for place, before in enumerate(states):
        for state in states:
            expected = states.index(state) > place and before is not State.DONE
            assert may_follow(state, before) is expected


async def test_a_device_that_restarts_with_the_old_application_makes_it_failed(
    works: Works,
) -> None:
    board = works.board()
    board.install(make_application("the old one"))
    board.acts.append(confirm_only)
    attempt = await works.flash(make_application())
    await works.until(attempt, State.VERIFYING)
    board.restart()
    failed = await works.ended(attempt)
    assert (failed.state, failed.reason) == (State.FAILED, Reason.NOT_VERIFIED)
    assert failed.detail is not None
    assert "restarted without the update" in failed.detail
    assert "the device reports user part 1 version 6 with the SHA-256" in failed.detail
    assert works.says() == ["started ", "success ", "failed "]


async def test_what_a_device_reports_meanwhile_is_shown_and_told_at_the_deadline(
    works: Works,
) -> None:
    board = works.board()
    board.acts.append(confirm_only)
    attempt = await works.flash(make_application())
    found = "So far the device reports no user part 1."
    await reach(lambda: works.now(attempt).obstacle == found)
    assert works.now(attempt).state is State.VERIFYING
    works.clock.advance(VERIFY_MS / 1000 + 1)
    await works.attempts.sweep()
    assert (works.now(attempt).detail or "").endswith(f"within 10 minutes. {found}")


async def test_events_tell_the_product_version_that_the_device_runs(works: Works) -> None:
    works.board()
    works.db.write_blocking(
        lambda connection: description.store_hello(
            connection, LAMP, platform_id=13, product_id=13, product_version=4,
            system_version=6200, at_ms=works.clock.now_ms(), ip_address="192.0.2.7",
        )
    )  # fmt: skip
    await works.ended(await works.flash(make_application()))
    assert works.versions == [4, 4]


async def test_a_device_that_has_confirmed_and_says_nothing_is_asked_what_it_runs(
    works: Works,
) -> None:
    board = works.board()
    board.acts.append(confirm_only)
    attempt = await works.flash(make_application())
    await works.until(attempt, State.VERIFYING)
    board.install(make_application())
    assert (await works.ended(attempt)).state is State.DONE
    assert works.boards.asked == [LAMP]


async def test_the_same_application_again_is_done_only_after_a_restart(works: Works) -> None:
    board = works.board()
    board.install(make_application())
    board.describe()
    board.acts.append(confirm_only)
    attempt = await works.flash(make_application())
    await works.until(attempt, State.VERIFYING)
    await reach(lambda: len(works.boards.asked) >= 2)
    assert works.now(attempt).state is State.VERIFYING
    works.bus.publish(DeviceStarted(LAMP, "update"))
    assert (await works.ended(attempt)).state is State.DONE


async def test_a_device_that_never_reports_makes_it_failed_at_the_deadline(works: Works) -> None:
    board = works.board()
    board.acts.append(confirm_only)
    attempt = await works.flash(make_application())
    await works.until(attempt, State.VERIFYING)
    board.is_online = False
    works.clock.advance(VERIFY_MS / 1000 - 1)
    await works.attempts.sweep()
    assert works.now(attempt).state is State.VERIFYING
    works.clock.advance(2)
    await works.attempts.sweep()
    failed = works.now(attempt)
    assert (failed.state, failed.reason) == (State.FAILED, Reason.NOT_VERIFIED)
    assert "did not report that it runs it within 10 minutes" in (failed.detail or "")


async def test_an_interrupted_update_goes_on_by_itself(works: Works) -> None:
    board = works.board()
    board.acts.append(break_off(700))
    data = make_application()
    attempt = await works.flash(data)
    done = await works.ended(attempt)
    assert (done.state, done.tries) == (State.DONE, 2)
    assert works.says() == ["started ", "success "]
    assert works.states(attempt) == ORDER


async def test_an_interrupted_update_waits_for_its_device(works: Works) -> None:
    board = works.board()
    board.acts.append(break_off(700))
    attempt = await works.flash(make_application())
    await works.until(attempt, State.SENDING)
    board.go_offline()
    await reach(lambda: works.now(attempt).obstacle == OFFLINE)
    waiting = works.now(attempt)
    assert (waiting.state, waiting.sent_bytes) == (State.SENDING, 700)
    board.come_online()
    assert (await works.ended(attempt)).state is State.DONE


async def test_a_device_that_only_resumes_its_session_is_asked_what_it_runs(works: Works) -> None:
    """Some firmware says nothing of its restart then (device-protocol.md §5.2.3)."""
    board = works.board()
    board.install(make_application("the old one"))
    board.acts.append(confirm_only)
    attempt = await works.flash(make_application())
    await works.until(attempt, State.VERIFYING)
    board.resume()
    failed = await works.ended(attempt)
    assert (failed.state, failed.reason) == (State.FAILED, Reason.NOT_VERIFIED)
    assert failed.detail is not None
    assert "come back without the update" in failed.detail


async def test_a_lost_fact_is_made_good(works: Works) -> None:
    board = works.board()
    board.acts.append(break_off(700))
    attempt = await works.flash(make_application())
    await works.until(attempt, State.SENDING)
    board.go_offline()
    await reach(lambda: not works.attempts._tasks)
    board.is_online = True
    await works.attempts.sweep()
    assert (await works.ended(attempt)).state is State.DONE


async def test_tries_that_bring_nothing_have_an_end(works: Works) -> None:
    board = works.board()
    board.acts.extend([break_off(0)] * (MAX_IDLE_TRIES + 5))
    attempt = await works.flash(make_application())
    failed = await works.ended(attempt)
    assert (failed.reason, failed.tries) == (Reason.INTERRUPTED, MAX_IDLE_TRIES + 1)
    assert failed.detail == "The connection was lost during the update."
    assert works.says() == ["started ", "failed "]


async def test_tries_that_bring_some_bytes_are_not_counted(works: Works) -> None:
    board = works.board()
    board.acts.extend(break_off(100 * (step + 1)) for step in range(MAX_IDLE_TRIES + 3))
    attempt = await works.flash(make_application())
    assert (await works.ended(attempt)).state is State.DONE


async def test_bytes_that_were_there_before_are_counted_once_only(works: Works) -> None:
    """The legacy protocol begins at the first byte each time."""
    board = works.board()
    board.acts.extend([break_off(700)] * (MAX_IDLE_TRIES + 5))
    attempt = await works.flash(make_application())
    failed = await works.ended(attempt)
    assert (failed.reason, failed.tries) == (Reason.INTERRUPTED, MAX_IDLE_TRIES + 2)
    assert failed.sent_bytes == 700


async def test_a_refusal_fails_with_the_number_and_the_sentence_of_device_os(works: Works) -> None:
    board = works.board()
    board.acts.append(fail_the_check(DeviceRefusedError("said", -1360)))
    attempt = await works.flash(make_application())
    failed = await works.ended(attempt)
    assert (failed.reason, failed.code) == (Reason.REFUSED, -1360)
    assert failed.detail == "The module is made for another platform. (-1360)"
    assert works.says() == ["started ", "failed "]


async def test_a_file_that_arrives_damaged_is_sent_again_but_not_forever(works: Works) -> None:
    board = works.board()
    damaged = fail_the_check(DeviceRefusedError("no", -1330))
    board.acts.append(damaged)
    attempt = await works.flash(make_application())
    done = await works.ended(attempt)
    assert (done.state, done.tries) == (State.DONE, 2)
    board.acts.extend([damaged] * 3)
    failed = await works.ended(await works.flash(make_application("other")))
    assert (failed.reason, failed.code, failed.tries) == (Reason.REFUSED, -1330, 3)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (DeviceOfflineError(), Reason.OFFLINE),
        (DeviceTimeoutError(), Reason.TIMEOUT),
        (DeviceBusyError(), Reason.REFUSED),
        (DeviceRefusedError("no", -1380), Reason.DISABLED),
        (DeviceRefusedError("no", -1801), Reason.REFUSED),
    ],
)
async def test_what_a_person_waits_for_fails_at_once_when_the_device_does_not_begin(
    works: Works, error: Exception, reason: Reason
) -> None:
    board = works.board()
    board.acts.append(refuse(error))
    attempt = await works.flash(make_application())
    failed = await works.attempts.begun(attempt, 5)
    assert (failed.state, failed.reason) == (State.FAILED, reason)
    assert board.sent == []


async def test_the_answer_comes_when_bytes_flow(works: Works) -> None:
    board = works.board()
    board.gate = asyncio.Event()
    attempt = await works.flash(make_application())
    begun = await works.attempts.begun(attempt, 5)
    assert (begun.state, works.attempts.is_busy(LAMP)) == (State.SENDING, True)
    board.gate.set()
    assert (await works.ended(attempt)).state is State.DONE


async def test_an_update_can_be_cancelled_while_it_runs(works: Works) -> None:
    board = works.board()
    board.gate = asyncio.Event()
    attempt = await works.flash(make_application())
    await works.attempts.begun(attempt, 5)
    cancelled = await works.attempts.cancel(
        attempt, Reason.CANCELLED, "Cancelled.", works.ada.user_id
    )
    assert (cancelled.state, cancelled.reason) == (State.FAILED, Reason.CANCELLED)
    assert works.says() == ["started ", "failed "]
    assert ("particle/device/updates/pending", b"false") in board.told
    with pytest.raises(AttemptEndedError):
        await works.attempts.cancel(attempt, Reason.CANCELLED, "Again.")
    actions = [entry.action for entry in list_entries(works.db, subject=f"device:{LAMP}")]
    assert "device.flash_cancelled" in actions
    assert board.sent == []


async def test_who_cancels_too_late_is_told_that_the_device_may_run_it(works: Works) -> None:
    board = works.board()
    board.acts.append(confirm_only)
    attempt = await works.flash(make_application())
    await works.until(attempt, State.VERIFYING)
    cancelled = await works.attempts.cancel(attempt, Reason.CANCELLED, "It was cancelled.")
    assert cancelled.reason is Reason.CANCELLED
    assert cancelled.detail == (
        "It was cancelled. The device had the whole file by then, and may run it."
    )


async def test_a_device_lost_while_it_checks_the_file_is_left_to_restart(works: Works) -> None:
    board = works.board()
    board.acts.append(fail_the_check(UpdateInterruptedError("The connection was lost.")))
    attempt = await works.flash(make_application())
    await reach(lambda: works.now(attempt).obstacle is not None)
    assert works.now(attempt).state is State.SENT
    assert works.attempts.is_busy(LAMP), "It may be about to run it."
    works.clock.advance(30.1)
    assert not works.attempts.is_busy(LAMP)


async def test_something_newer_takes_the_place_of_what_waits(works: Works) -> None:
    board = works.board()
    board.acts.append(break_off(700))
    old = await works.flash(make_application("old"))
    await works.until(old, State.SENDING)
    board.go_offline()
    await reach(lambda: works.now(old).obstacle is not None)
    board.come_online()
    new = await works.flash(make_application("new"))
    assert (await works.ended(new)).state is State.DONE
    assert works.now(old).reason is Reason.SUPERSEDED
    assert board.sent == [make_application("new")]


async def test_files_of_one_request_go_one_after_the_other(works: Works) -> None:
    board = works.board()
    news = [works.new(make_application(text), Cause.FLASH, text) for text in ("one", "two")]
    first, second = await works.attempts.add(LAMP, works.ada.user_id, news)
    await works.ended(second)
    assert board.sent == [make_application("one"), make_application("two")]
    assert [works.now(each).state for each in (first, second)] == [State.DONE, State.DONE]
    assert first.batch == second.batch


async def test_what_follows_a_failed_file_is_not_sent(works: Works) -> None:
    board = works.board()
    board.acts.append(fail_the_check(DeviceRefusedError("no", -1360)))
    news = [works.new(make_application(text), Cause.FLASH, text) for text in ("one", "two")]
    _first, second = await works.attempts.add(LAMP, works.ada.user_id, news)
    failed = await works.ended(second)
    assert (failed.reason, failed.detail) == (
        Reason.BLOCKED, "one was to come first, and failed.",
    )  # fmt: skip
    assert board.sent == []


async def test_an_application_that_takes_no_updates_is_told_that_one_waits(works: Works) -> None:
    board = works.board()
    board.acts.append(break_off(100))
    board.acts.append(refuse(DeviceRefusedError("no", -1380)))
    attempt = await works.flash(make_application())
    await reach(lambda: works.now(attempt).obstacle == DISABLED)
    assert ("particle/device/updates/pending", b"true") in board.told
    works.db.write_blocking(
        lambda connection: description.store_updates(connection, LAMP, enabled=True, forced=None)
    )
    works.bus.publish(UpdatesSwitched(LAMP, True, None))
    assert (await works.ended(attempt)).state is State.DONE
    assert works.says() == ["started ", "success "]


async def test_a_forced_update_starts_after_the_device_has_echoed(works: Works) -> None:
    works.board()
    works.db.write_blocking(
        lambda connection: description.store_updates(connection, LAMP, enabled=False, forced=False)
    )
    attempt = await works.flash(make_application(), Cause.REPAIR)
    await reach(lambda: works.now(attempt).obstacle is not None)
    works.db.write_blocking(
        lambda connection: description.store_updates(connection, LAMP, enabled=None, forced=True)
    )
    works.bus.publish(UpdatesSwitched(LAMP, None, True))
    assert (await works.ended(attempt)).state is State.DONE
    assert ("spark/status", b"auto-update", works.ada.user_id) in works.events


async def test_what_nobody_waits_for_any_more_is_not_begun(works: Works) -> None:
    board = works.board()
    board.is_online = False
    attempt = await works.flash(make_application())
    await reach(lambda: works.now(attempt).obstacle is not None)
    works.clock.advance(BEGIN_MS / 1000 + 1)
    await works.attempts.sweep()
    assert works.now(attempt).reason is Reason.OFFLINE
    board.come_online()
    await asyncio.sleep(0.02)
    assert board.sent == []


async def test_what_was_begun_has_a_day(works: Works) -> None:
    board = works.board()
    board.acts.append(break_off(700))
    attempt = await works.flash(make_application())
    await works.until(attempt, State.SENDING)
    board.go_offline()
    works.clock.advance(WAIT_MS / 1000 - 5)
    await works.attempts.sweep()
    assert works.now(attempt).state is State.SENDING
    works.clock.advance(10)
    await works.attempts.sweep()
    failed = works.now(attempt)
    assert failed.reason is Reason.EXPIRED
    assert (failed.detail or "").startswith("It could not be sent within 24 hours.")


async def test_what_is_not_sent_yet_is_pending(works: Works) -> None:
    board = works.board()
    assert has_pending(works.db, LAMP) is False
    board.gate = asyncio.Event()
    attempt = await works.flash(make_application())
    await works.attempts.begun(attempt, 5)
    assert has_pending(works.db, LAMP) is True
    board.gate.set()
    await works.ended(attempt)
    board.acts.append(confirm_only)
    verifying = await works.flash(make_application("other"))
    await works.until(verifying, State.VERIFYING)
    assert has_pending(works.db, LAMP) is False


async def test_a_restarted_server_goes_on(works: Works) -> None:
    board = works.board()
    board.gate = asyncio.Event()
    attempt = await works.flash(make_application())
    await works.attempts.begun(attempt, 5)
    await works.attempts.close()
    assert works.now(attempt).state is State.SENDING
    board.gate.set()
    again = works.again()
    try:
        assert (await again.ended(attempt)).state is State.DONE
        assert again.now(attempt).tries == 2
    finally:
        await again.attempts.close()


async def test_a_restarted_server_goes_on_waiting_for_the_report(works: Works) -> None:
    board = works.board()
    board.acts.append(confirm_only)
    attempt = await works.flash(make_application())
    await works.until(attempt, State.VERIFYING)
    await works.attempts.close()
    board.install(make_application())
    again = works.again()
    try:
        board.restart()
        assert (await again.ended(attempt)).state is State.DONE
    finally:
        await again.attempts.close()


async def test_a_device_that_has_it_all_but_could_not_say_so_is_not_sent_it_again(
    works: Works,
) -> None:
    board = works.board()
    board.acts.append(fail_the_check(DeviceTimeoutError()))
    board.install(make_application())
    attempt = await works.flash(make_application())
    done = await works.ended(attempt)
    assert (done.state, done.tries, board.sent) == (State.DONE, 1, [])


async def test_a_file_that_is_lost_makes_it_failed(works: Works) -> None:
    works.board()
    new = works.new(make_application())
    works.shelf.all.clear()
    (attempt,) = await works.attempts.add(LAMP, works.ada.user_id, [new])
    assert (await works.ended(attempt)).reason is Reason.IMAGE_LOST


async def test_a_new_owner_does_not_get_what_the_old_one_sent(works: Works) -> None:
    board = works.board()
    board.gate = asyncio.Event()
    attempt = await works.flash(make_application())
    await works.attempts.begun(attempt, 5)
    works.bus.publish(DeviceReleased(LAMP, works.ada.user_id))
    assert (await works.ended(attempt)).reason is Reason.RELEASED
    assert board.sent == []


async def test_a_device_in_safe_mode_is_repaired_module_by_module(works: Works) -> None:
    board = works.board()
    needs = make_application("needs a newer system")
    parts = [make_bootloader(2000, platform_id=BORON), make_system(6300, platform_id=BORON)]
    works.repairs.extend(works.new(part, Cause.REPAIR) for part in parts)
    board.modules[(USER_PART, 1)] = Module(
        USER_PART, 1, 6, hash=parse_module(needs).sha256, dependencies=(system(6300),)
    )
    board.describe()
    await reach(lambda: len(board.sent) == 2)
    first, second = works.records.newest(LAMP, since_ms=0, limit=10)[::-1]
    assert (await works.ended(first)).state is (await works.ended(second)).state is State.DONE
    assert board.sent == parts
    assert {first.cause, second.cause} == {Cause.REPAIR}


async def test_attempts_are_found_by_their_device_only(works: Works) -> None:
    works.board()
    attempt = await works.flash(make_application())
    await works.ended(attempt)
    with pytest.raises(UnknownAttemptError):
        works.records.get(type(LAMP)("e00fce680000000000000002"), attempt.id)
    assert [each.id for each in works.records.newest(LAMP, since_ms=0, limit=10)] == [attempt.id]
    later = works.clock.now_ms() + 1
    assert works.records.newest(LAMP, since_ms=later, limit=10) == []
