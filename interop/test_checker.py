"""The checker of crash histories finds what it is there to find."""

from checker import History, Place, Value


def value(number, producer="p"):
    return Value(producer, number)


def history(sent=4, acknowledged=None, passes=()):
    made = History()
    made.sent["p"] = sent
    made.acknowledged = dict(acknowledged or {})
    made.passes = [list(one) for one in passes]
    return made


LOG = [(Place(0, offset), value(offset)) for offset in range(4)]


def found(made, log=LOG, once=("p",)):
    return set(made.check(log, once=set(once)))


def test_a_clean_history_passes():
    acknowledged = {v: place for place, v in LOG}
    assert found(history(acknowledged=acknowledged, passes=[LOG, LOG[1:]])) == set()


def test_unacknowledged_values_may_be_there_or_not():
    assert found(history(sent=9)) == set()


def test_lost_write():
    assert found(history(acknowledged={value(7): Place(0, 7)}, sent=9)) == {"lost write"}


def test_misplaced():
    acknowledged = {value(2): Place(0, 9)}
    assert found(history(acknowledged=acknowledged)) == {"misplaced"}


def test_duplicate():
    log = LOG + [(Place(0, 4), value(3))]
    assert found(history(), log) == {"duplicate"}
    assert found(history(), log, once=()) == set()


def test_phantom():
    assert found(history(sent=3, passes=[LOG])) == {"phantom"}


def test_inconsistent_offsets():
    other = [(Place(0, 1), value(3))]
    assert "inconsistent offsets" in found(history(passes=[LOG, other]))


def test_an_acknowledged_offset_that_holds_something_else():
    acknowledged = {value(3): Place(0, 1), value(1): Place(0, 3)}
    assert "inconsistent offsets" in found(history(acknowledged=acknowledged, passes=[LOG]))


def test_non_monotonic_send():
    log = [(Place(0, 0), value(1)), (Place(0, 1), value(0))]
    assert found(history(), log) == {"non-monotonic send"}
    apart = [(Place(0, 0), value(1)), (Place(1, 0), value(0))]
    assert found(history(), apart) == set()


def test_a_late_second_copy_is_no_disorder():
    log = [(Place(0, 0), value(0)), (Place(0, 1), value(1)), (Place(0, 2), value(0))]
    assert found(history(), log, once=()) == set()


def test_non_monotonic_poll():
    assert found(history(passes=[[LOG[1], LOG[0]]])) == {"non-monotonic poll"}


def test_skipped_poll():
    assert found(history(passes=[[LOG[0], LOG[3]]])) == {"skipped poll"}
    holes = [LOG[0], LOG[3]]
    assert found(history(passes=[holes]), holes) == set()
