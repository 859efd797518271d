"""Work shared out among threads: all of it is done, and errors come through."""

import multiprocessing
import threading

import pytest

from clearhead.ops import threads


@pytest.mark.parametrize("size", [1, 2 * threads.SHARED])
def test_every_part_is_done_once(size):
    """Little work or much, few parts or many: each part is done, and none twice."""
    for count in (0, 1, 2, 37):
        done = []
        threads.share(done.append, range(count), size)
        assert sorted(done) == list(range(count))


def test_little_work_stays_where_it_is():
    """Work that is not worth it is done by the caller's thread."""
    by = []
    threads.share(lambda _: by.append(threading.get_ident()), range(5), 10)
    assert set(by) == {threading.get_ident()}


def test_errors_come_through():
    """What a part raises reaches the caller, who can go on."""

    def refuse(part):
        raise ValueError(part)

    with pytest.raises(ValueError, match=r"0|1"):
        threads.share(refuse, range(2), 2 * threads.SHARED)
    test_every_part_is_done_once(2 * threads.SHARED)


def _share_in_child(queue):
    done = []
    threads.share(done.append, range(9), 2 * threads.SHARED)
    queue.put(sorted(done))


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning", "ignore:os.fork:RuntimeWarning")
def test_a_process_that_forks_has_threads_of_its_own():
    """A child does not wait for threads that only its parent has."""
    threads.share(id, range(9), 2 * threads.SHARED)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_share_in_child, args=(queue,))
    child.start()
    assert queue.get(timeout=20) == list(range(9))
    child.join(20)
