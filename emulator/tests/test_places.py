from hypothesis import given
from hypothesis import strategies as st

from rtdb_emulator.data.places import PlaceMap

PATHS = st.lists(st.sampled_from("ab"), max_size=3).map(tuple)
STEPS = st.lists(st.tuples(st.sampled_from(["set", "remove", "cut"]), PATHS))


@given(STEPS, PATHS)
def test_values_along_and_below_a_path(steps, path):
    places, model = PlaceMap(), {}
    for number, (step, place) in enumerate(steps):
        if step == "set":
            places.set(place, number)
            model[place] = number
        elif step == "remove":
            places.remove(place)
            model.pop(place, None)
        else:
            places.cut(place)
            model = {each: value for each, value in model.items() if each[: len(place)] != place}
    assert places.get(path) == model.get(path)
    above = [(depth, model[path[:depth]]) for depth in range(len(path) + 1) if path[:depth] in model]
    assert list(places.along(path)) == above
    below = {each: value for each, value in model.items() if each[: len(path)] == path and each != path}
    assert sorted(places.below(path)) == sorted(below.values())
    if not model:
        assert not places._root.below, "what is empty is given up"
