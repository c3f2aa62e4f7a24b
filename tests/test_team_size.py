"""How many threads take the next chunk: the faster team goes on, and the other gets another chance."""

from __future__ import annotations

from fastgd.training.team_size import TeamSize


def test_the_faster_team_goes_on_and_the_other_gets_another_chance():
    team, order = TeamSize(4), []
    for _ in range(200):
        size = team.next()
        order.append(size)
        team.took(size, 0.07, 10 if size == 1 else 20)  # four threads take twice as many steps
    assert order[:5] == [4, 4, 1, 1, 4]
    assert 2 < order.count(1) < 10
    slow = TeamSize(4)
    for _ in range(100):
        slow.took(slow.next(), 0.07, 20 if slow.next() == 1 else 10)
    assert slow.next() == 1
    assert TeamSize(1).next() == 1
