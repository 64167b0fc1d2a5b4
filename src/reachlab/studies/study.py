"""Run a study: lay out its jobs, execute them, analyse what they published, write the report.

Command: ``reachlab run lexicon``; in Python ``reachlab.studies.run(spec, out)``.
Not covered: the statistics (``reachlab.measure``) and the pictures (``studies.report``).
"""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import reachlab
from reachlab import Arm, Json, Split, Treatment, World
from reachlab.errors import BadValue, CorruptRun, ReachlabError
from reachlab.studies.conclude import conclude
from reachlab.studies.context import open_run
from reachlab.studies.designs import Training
from reachlab.studies.jobs import Call, Job, Report, default_workers, execute
from reachlab.studies.spec import ON_POLICY, StudySpec
from reachlab.studies.store import RunStore, claim, read_json

JOBS = "reachlab.studies"
BASE = "base"
"""The job that every other one needs."""
SECONDS_PER_EPISODE = 1 / 1500
"""Rough, for the weights of the progress bar only."""


def run(
    spec: StudySpec,
    out: Path | str,
    *,
    workers: int | None = None,
    resume: bool = False,
    report: Report = lambda done, total, running: None,
    command: str = "",
) -> Json:
    """The whole study: sample, learn, analyse, report. Returns result.json's content.

    Raises CorruptRun for an *out* that holds something else. ``workers`` never changes a number.
    """
    out = Path(out)
    sample_and_learn(spec, out, workers=workers or default_workers(), resume=resume, report=report)
    return conclude(out, command)


def run_each(
    studies: Mapping[str, StudySpec], out: Path, *, workers: int | None, report: Report, command: str
) -> list[Json]:
    """Each study in a folder of its own in *out*, taken up where it was stopped: result.json's contents, in order.

    Their jobs are one graph, so that no worker waits for the last job of a study; each is analysed once it is whole.
    """
    jobs, left, results = list[Job](), dict[str, set[str]](), dict[str, Json]()
    with ExitStack() as stack:
        for place, (name, spec) in enumerate(studies.items()):
            store = prepare(spec, out / name, (out / name / "spec.json").exists())
            stack.enter_context(_nothing_left_of_a_bad_start(store))
            own = [job.within(name, place) for job in lay_out(spec, store)]
            jobs += own
            left[name] = {job.name for job in own if not job.out.exists()}

        def finished(job: Job) -> None:
            for name, open_jobs in left.items():
                if job.name in open_jobs:
                    open_jobs.remove(job.name)
                    if not open_jobs:
                        results[name] = conclude(out / name, command)

        execute(jobs, workers or default_workers(), report, finished)
    return [results[name] if name in results else conclude(out / name, command) for name in studies]


def train_one(
    spec: StudySpec, out: Path | str, treatment: Treatment, world: World, *, resume: bool = False, report: Report
) -> Json:
    """One training in the layout of a study, so that ``run`` on the same spec and folder takes it up. Its status."""
    if not treatment.trains:
        trained = ", ".join(t for t in Treatment if t.trains)
        raise BadValue("treatment", str(treatment), f"a treatment that trains: {trained}")
    store = prepare(spec, Path(out), resume)
    jobs, wanted = [_base(store)], list[Training]([(treatment, world)])
    for training in wanted:  # grows by what each one needs
        jobs.append(_training(spec, store, *training, 0))
        wanted += spec.designed.needs(*training)
    with _nothing_left_of_a_bad_start(store):
        execute(jobs, 1, report)
    return {"weights": str(store.policy(treatment, world, 0)), **store.status(treatment, world, 0)}


def prepare(spec: StudySpec, out: Path, resume: bool) -> RunStore:
    """The run directory of *spec*. Raises CorruptRun rather than touch a directory that holds something else."""
    store = RunStore(out)
    if claim(out, spec.to_json(), resume, "study"):
        same_version(store)
        _set_aside_broken(store)
    return store


def lay_out(spec: StudySpec, store: RunStore) -> list[Job]:
    """Every job of the study; those that are done already are skipped when executed."""
    context, design = open_run(store.root), spec.designed
    jobs = [_base(store), _p0(spec, store, "test"), _p0(spec, store, "train")]
    for treatment, world in design.trainings:
        jobs += [_training(spec, store, treatment, world, index) for index in range(spec.seeds)]
    for arm in design.arms:
        for index in context.runs(arm):
            jobs += _evaluation(spec, store, arm, index)
    return jobs


def sample_and_learn(spec: StudySpec, out: Path, *, workers: int, resume: bool, report: Report) -> RunStore:
    """Everything that takes long: after it the run directory holds all episodes."""
    store = prepare(spec, out, resume)
    with _nothing_left_of_a_bad_start(store):
        execute(lay_out(spec, store), workers, report)
    return store


def _base(store: RunStore) -> Job:
    return Job(BASE, store.base, Call(f"{JOBS}.evaluation:base_job", (store.root,)), priority=9)


def _p0(spec: StudySpec, store: RunStore, split: Split) -> Job:
    job = Call(f"{JOBS}.evaluation:p0_job", (store.root, split))
    return Job(f"p0 {split}", store.p0(split), job, needs=(BASE,), weight=0.01 * spec.count(split), priority=1)


def _training(spec: StudySpec, store: RunStore, treatment: Treatment, world: World, index: int) -> Job:
    sizes = spec.profile
    sampled = sizes.steps * sizes.groups * sizes.group_size
    updates, on_policy = spec.updates(treatment), treatment in ON_POLICY
    learned = updates * (sizes.groups * sizes.group_size if on_policy else sizes.fit_batch)
    drawn = 0 if treatment is Treatment.SFT else sampled
    weight = (drawn + 3 * learned) * SECONDS_PER_EPISODE
    out = store.policy(treatment, world, index)
    first = tuple(_name(*training, index) for training in spec.designed.needs(treatment, world))
    return Job(
        _name(treatment, world, index),
        out,
        Call(f"{JOBS}.training:train_job", (store.root, treatment, world, index)),
        needs=(BASE, *first),
        weight=weight,
        priority=3 if (treatment, world) == (Treatment.RL, World.LIVE) else 2,
        log=out.with_name(f"{out.name}.unfinished") / "metrics.jsonl",
        steps=updates,
    )


def _evaluation(spec: StudySpec, store: RunStore, arm: Arm, index: int) -> list[Job]:
    needs = (BASE,) if arm.training is None else (_name(*arm.training, index),)
    samples = spec.search.nodes if arm.treatment is Treatment.SEARCH else 1
    jobs = []
    for chunk in range(spec.chunks(arm.split)):
        tasks = min(spec.profile.chunk_tasks, spec.count(arm.split) - chunk * spec.profile.chunk_tasks)
        jobs.append(
            Job(
                f"{arm.name} #{index} chunk {chunk}",
                store.episodes(arm, index, chunk),
                Call(f"{JOBS}.evaluation:evaluate_job", (store.root, arm, index, chunk)),
                needs=needs,
                weight=tasks * spec.profile.episodes * SECONDS_PER_EPISODE * samples,
            )
        )
    return jobs


def _name(treatment: Treatment, world: World, index: int) -> str:
    return f"train {treatment}·{world} #{index}"


@contextmanager
def _nothing_left_of_a_bad_start(store: RunStore) -> Iterator[None]:
    """A spec that cannot even load its base leaves no run directory behind."""
    try:
        yield
    except ReachlabError:
        if [p.name for p in store.root.iterdir()] == ["spec.json"]:
            shutil.rmtree(store.root)
        raise


def same_version(store: RunStore) -> None:
    """A run goes on with the version that began it: another one may sample other numbers."""
    try:
        began = read_json(store.base)["version"]
    except (CorruptRun, KeyError, TypeError):
        return  # not begun, or broken and made again
    if began != reachlab.__version__:
        raise CorruptRun(f"{store.root} was begun with reachlab {began}, this is {reachlab.__version__}")


def _set_aside_broken(store: RunStore) -> None:
    """What a failing disk cut short is renamed, said, and made again."""
    for path in store.broken():
        aside = path.with_name(f"{path.name}.corrupt")
        path.rename(aside)
        warnings.warn(f"{path} could not be read; kept as {aside.name} and made again", stacklevel=2)
