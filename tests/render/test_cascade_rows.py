import re
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from triggers_nb.analysis.graph import task_graph
from triggers_nb.core.instances import TaskConfig
from triggers_nb.render.cascade import cascade_svg
from triggers_nb.render.cascade_rows import Laid, fold


def chain(n, links=()):
    """Tasks one after another, and a link from some to others further on."""
    after = {number: [f"t_step{number - 1}" if number else "go"] for number in range(n)}
    for one, other in links:
        after[other].append(f"t_step{one}")
    return {f"t_step{number}": TaskConfig(f"t_step{number}", after=names, run="A") for number, names in after.items()}


def size(svg):
    return [float(each) for each in re.search(r'width="([\d.]+)" height="([\d.]+)"', svg).groups()]


def test_a_long_chain_is_folded_into_rows_that_fit_a_page():
    width, height = size(cascade_svg(task_graph(chain(100), [], ["go"])))

    assert width < 2400
    assert height < width


def test_fifteen_hundred_tasks_one_after_another_fit_a_page():
    width, height = size(cascade_svg(task_graph(chain(1500), [], ["go"])))

    assert width < 2400
    assert height < 1200


def test_a_small_picture_is_not_folded():
    laid = Laid(rects=[(24.0, 24.0, 164.0, 68.0), (224.0, 24.0, 364.0, 68.0)], ways=[[(164.0, 46.0), (224.0, 46.0)]])

    assert fold(laid, 24.0) is laid


@given(
    links=st.sets(st.tuples(st.integers(0, 58), st.integers(1, 59)).filter(lambda pair: pair[0] < pair[1]), max_size=12)
)
def test_in_a_folded_picture_nodes_do_not_overlap_and_edges_end_at_their_nodes(links):
    laid = drawn(chain(60, links))
    folded = fold(laid, 24.0)

    assert len(folded.ways) == len(laid.ways)
    for (l1, t1, r1, b1), (l2, t2, r2, b2) in pairwise(sorted(folded.rects, key=lambda rect: (rect[1], rect[0]))):
        assert r1 <= l2 or r2 <= l1 or b1 <= t2 or b2 <= t1
    for before, after in zip(laid.ways, folded.ways, strict=True):
        for end in (0, -1):
            (number,) = [n for n, rect in enumerate(laid.rects) if touches(rect, before[end])][:1]
            assert touches(folded.rects[number], after[end])
        for (x1, y1), (x2, y2) in pairwise(after):
            assert abs(x1 - x2) < 0.01 or abs(y1 - y2) < 0.01, "edges go straight, across or down"
    assert folded == fold(laid, 24.0)


def touches(rect, point):
    left, top, right, bottom = rect
    return left - 1 <= point[0] <= right + 1 and top - 1 <= point[1] <= bottom + 1


def drawn(tasks):
    """A picture in one row: a node for each task, edges of three pieces with a lane of their own."""
    names = list(tasks)
    rects = [(24.0 + 260 * place, 24.0, 164.0 + 260 * place, 68.0) for place in range(len(names))]
    ways, lane = [], 0
    for place, name in enumerate(names):
        for source in tasks[name].after:
            if source in tasks:
                lane += 1
                begin, end = rects[names.index(source)], rects[place]
                out, back, y = begin[2] + 10 + lane, end[0] - 10 - lane, 80.0 + 9 * lane
                if begin[2] + 120 >= end[0]:
                    ways.append([(begin[2], 46.0), (end[0], 46.0)])
                else:
                    ways.append([(begin[2], 50.0), (out, 50.0), (out, y), (back, y), (back, 50.0), (end[0], 50.0)])
    return Laid(rects=rects, ways=ways)
