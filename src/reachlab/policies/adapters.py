"""Low-rank adapters through peft (extra ``lora``): a student that shares the base's weights and trains few of its own.

``adapt(model, AdapterConfig())`` gives a ``PeftModel`` over *model*'s weights: modules are new, tensors are the same,
so that the base stays as it was, costs no second copy, and any number of adapters stand side by side. ``save`` writes
the adapter alone; ``attach`` puts it back on the base.

Adapters are kept in float32 whatever the base's dtype: their updates would round away in less.

Not covered: other methods of peft, quantised bases.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import PreTrainedModel

from reachlab.errors import BadValue, MissingExtra
from reachlab.policies.config import AdapterConfig
from reachlab.seeding import derive

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


def peft(module: str = "peft") -> Any:
    """The package. ``MissingExtra`` where it is not installed."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise MissingExtra("peft", "lora") from error


def adapt(model: PreTrainedModel, config: AdapterConfig, seed: int = 0) -> PreTrainedModel:
    """A student with *model*'s weights and a fresh adapter, which is all of it that trains; *model* stays as it is.

    *seed* is of A's first values; B begins at 0, so that the student begins as the base.
    It is a ``peft.PeftModel``, which has what is used of a ``PreTrainedModel``.
    """
    library = peft()
    targets = config.targets if isinstance(config.targets, str) else list(config.targets)
    lora = library.LoraConfig(
        r=config.rank, lora_alpha=config.alpha, target_modules=targets, lora_dropout=0.0, task_type="CAUSAL_LM"
    )  # fmt: skip
    devices = [model.device] if model.device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(derive(seed, "adapter"))
        try:
            student: PreTrainedModel = library.get_peft_model(sharing(model), lora)
        except ValueError as error:
            linear = sorted({n.rpartition(".")[2] for n, m in model.named_modules() if isinstance(m, torch.nn.Linear)})
            raise BadValue("adapter targets", config.targets, f"all-linear, or some of {', '.join(linear)}") from error
    student.eval()
    return student


def attach(model: PreTrainedModel, folder: Path) -> PreTrainedModel:
    """*model*'s weights with the adapter that ``save`` wrote to *folder*. *model* stays as it is."""
    try:
        student: PreTrainedModel = peft().PeftModel.from_pretrained(sharing(model), str(folder))
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        allowed = f"a folder with an adapter of {model.name_or_path} ({str(error).strip().splitlines()[0]})"
        raise BadValue("adapter", str(folder), allowed) from error
    student.eval()
    return student


def merged(model: PreTrainedModel, folder: Path) -> PreTrainedModel:
    """*model*, changed by the adapter in *folder*: a model like any other, for instance to be a base itself."""
    student: Any = attach(model, folder)
    whole: PreTrainedModel = student.merge_and_unload()
    whole.requires_grad_(True)
    whole.name_or_path = str(folder)  # the base of an adapter on top of this one
    return whole


def save(model: PreTrainedModel, folder: Path) -> None:
    """The adapter alone, as peft and vLLM read it."""
    # Not "auto": that asks the hub whether the base's vocabulary was changed.
    model.save_pretrained(str(folder), save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)  # a model card to fill in
    written = json.loads((folder / CONFIG).read_text())
    if isinstance(written["target_modules"], list):  # of a set: in another order in each process
        written["target_modules"].sort()
    (folder / CONFIG).write_text(json.dumps(written, indent=2, sort_keys=True) + "\n")


def restore(model: PreTrainedModel, folder: Path) -> None:
    """Give an adapted *model* the adapter's weights of *folder*."""
    peft().set_peft_model_state_dict(model, load_file(folder / WEIGHTS, device=str(model.device)))


def is_adapter(folder: str | Path) -> bool:
    """Whether a folder holds an adapter rather than whole weights."""
    return (Path(folder) / CONFIG).is_file()


def base_of(folder: str | Path) -> str:
    """The folder or hub name of the model that the adapter in *folder* was trained on."""
    try:
        named = json.loads((Path(folder) / CONFIG).read_text()).get("base_model_name_or_path")
    except (OSError, ValueError, AttributeError) as error:
        raise BadValue("adapter", str(folder), f"a folder whose {CONFIG} can be read ({error})") from error
    if not isinstance(named, str) or not named:
        raise BadValue("base_model_name_or_path", named, f"a folder or hub name, in {Path(folder) / CONFIG}")
    return named


def adapted(model: PreTrainedModel) -> bool:
    """Whether *model* carries an adapter."""
    return hasattr(model, "peft_config")


@contextmanager
def switched_off(model: PreTrainedModel) -> Iterator[PreTrainedModel]:
    """The base within an adapted model."""
    student: Any = model  # a PeftModel
    with student.disable_adapter():
        yield model


def sharing(model: PreTrainedModel) -> PreTrainedModel:
    """A model of new modules over the same tensors, none of which trains. Tied weights stay tied.

    peft puts its layers into the model it is given and freezes the rest: the base itself would change.
    """
    memo: dict[int, Any] = {id(p): torch.nn.Parameter(p.detach(), requires_grad=False) for p in model.parameters()}
    memo |= {id(b): b for b in model.buffers()}
    return copy.deepcopy(model, memo)
