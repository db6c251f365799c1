"""Jobs: claimed once, in order within a lane, put back when their worker dies."""

import threading
from datetime import timedelta

from sqlalchemy import select

from store import Database, Job, JobState, claim, enqueue, finish, retry_later, sweep


def add(database: Database, key: str, lane: str | None = None) -> bool:
    with database.begin() as session:
        return enqueue(session, "work", key, {"n": key}, lane=lane)


def take(database: Database, lease: timedelta = timedelta(minutes=1)) -> Job | None:
    with database.begin() as session:
        return claim(session, ["work"], lease=lease)


def test_the_same_key_is_one_job(database: Database) -> None:
    assert add(database, "a")
    assert not add(database, "a")
    with database.read() as session:
        assert len(session.scalars(select(Job)).all()) == 1


def test_sixteen_workers_never_share_a_job(database: Database) -> None:
    for index in range(40):
        add(database, str(index))
    taken: list[int] = []
    lock = threading.Lock()

    def work() -> None:
        while (job := take(database)) is not None:
            with lock:
                taken.append(job.id)

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 40
    assert len(set(taken)) == 40


def test_a_lane_runs_one_job_at_a_time_oldest_first(database: Database) -> None:
    add(database, "first", lane="conversation")
    add(database, "second", lane="conversation")
    add(database, "other", lane="elsewhere")
    first, other = take(database), take(database)
    assert first is not None
    assert first.key == "first"
    assert other is not None
    assert other.key == "other"
    assert take(database) is None
    with database.begin() as session:
        finish(session, first)
    second = take(database)
    assert second is not None
    assert second.key == "second"


def test_a_dead_workers_job_is_put_back_and_its_late_result_refused(database: Database) -> None:
    add(database, "a")
    dead = take(database, lease=timedelta(seconds=-1))
    assert dead is not None
    with database.begin() as session:
        assert sweep(session).put_back == 1
    alive = take(database)
    assert alive is not None
    assert alive.id == dead.id
    with database.begin() as session:
        assert not finish(session, dead)
        assert finish(session, alive)


def test_a_failing_job_waits_longer_each_time_and_is_given_up(database: Database) -> None:
    add(database, "a")
    job = take(database)
    assert job is not None
    with database.begin() as session:
        assert retry_later(session, job, "boom", tries=2) == JobState.WAITING
    assert take(database) is None, "it must not be due at once"
    with database.begin() as session:
        row = session.get_one(Job, job.id)
        assert row.error == "boom"
        row.due_at = row.created_at
    again = take(database)
    assert again is not None
    with database.begin() as session:
        assert retry_later(session, again, "boom", tries=2) == JobState.FAILED


def test_the_bell_rings_after_commit_and_not_after_rollback(database: Database) -> None:
    with database.bell.listen("job:work") as listener:
        try:
            with database.begin() as session:
                enqueue(session, "work", "lost", {})
                raise RuntimeError
        except RuntimeError:
            pass
        assert not listener.wait(0.05)
        add(database, "kept")
        assert listener.wait(0.05)


def test_a_job_that_kills_every_worker_is_given_up(database: Database) -> None:
    add(database, "poison")
    for _ in range(3):
        with database.begin() as session:
            for row in session.scalars(select(Job)):
                row.due_at = row.created_at
        assert take(database, lease=timedelta(seconds=-1)) is not None
        with database.begin() as session:
            swept = sweep(session, tries=3)
    assert [job.key for job in swept.given_up] == ["poison"]
    assert swept.put_back == 0
    assert take(database) is None
