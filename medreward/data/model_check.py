"""Rows held against the files of a model: what does not fit, before a GPU is asked for.

Read are a model's configuration, chat template, tokenizer and image processor; its weights are not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from medreward.data.check import ScorerOf, first_rows, open_parquet, rows_in, scorers_of
from medreward.data.image_file import image_of_row, open_image
from medreward.data.sources.record import UnusableError
from medreward.errors import ConfigError, quote
from medreward.files.progress import show_progress
from medreward.files.reading import parse_json, read_text
from medreward.geometry.frames import qwen_resized
from medreward.kinds.base import kind_of
from medreward.kinds.truth import target_of
from medreward.priors.asked import frame_of
from medreward.priors.template import message_parts
from medreward.scoring.scorer import Scorer
from medreward.task.profile import ModelProfile, profiles_for
from medreward.text.formats.base import THINK_TAGS
from medreward.text.formats.by_rewriting import END_TOKENS

ROWS = 8  # that are rendered, from the first on
# What config.json calls the token of an image: most models, LLaVA, Kimi's.
_IMAGE_TOKENS = ("image_token_id", "image_token_index", "media_placeholder_token_id")
_SWITCH = (
    "Where the template has the switch enable_thinking, trainers hand it over (TRL: "
    "grpo.chat_template_kwargs, verl: data.apply_chat_template_kwargs), and --template-option "
    "enable_thinking=true here"
)


class ModelFiles:
    """The small files of a model: a folder's, or those that the hub gives.

    Args:
        name: a folder or a hub name.
        options: what trainers give the chat template beside the messages, such as
            ``{"enable_thinking": True}``.

    Raises:
        ConfigError: if there is no config.json.
    """

    def __init__(self, name: str, options: Mapping[str, Any] | None = None) -> None:
        self.name = name
        self.options = dict(options or {})
        self.folder = Path(name) if Path(name).is_dir() else None
        if self.config is None:
            where = "the folder" if self.folder else "the hub, or its cache here,"
            raise ConfigError(f"--model: {where} {quote(name)} has no config.json that can be read")

    def json(self, file: str) -> dict[str, Any] | None:
        """Return what a JSON file holds, None if there is none."""
        path = self._path(file)
        if path is None:
            return None
        try:
            content = parse_json(read_text(path))
        except ConfigError as error:
            raise ConfigError(f"--model: {path}: {error}") from error
        return content if isinstance(content, dict) else None

    def _path(self, file: str) -> Path | None:
        if self.folder is not None:
            found = self.folder / file
            return found if found.is_file() else None
        try:
            from huggingface_hub import hf_hub_download

            return Path(hf_hub_download(self.name, file))
        except Exception:  # noqa: BLE001 - not there, no access or no network, in many forms
            return None

    @cached_property
    def config(self) -> dict[str, Any] | None:
        """The model's config.json."""
        return self.json("config.json")

    @cached_property
    def image_processor(self) -> dict[str, Any]:
        """The settings of its image processor, {} if they are not there."""
        own = self.json("preprocessor_config.json")
        nested = (self.json("processor_config.json") or {}).get("image_processor")
        return own or (nested if isinstance(nested, dict) else {})

    @property
    def profiles(self) -> list[ModelProfile]:
        """The shipped profiles for it."""
        return profiles_for(self.name, str((self.config or {}).get("model_type", "")))

    @property
    def resize(self) -> tuple[int, int, int] | None:
        """Factor, least and largest number of pixels of a Qwen processor; None for others."""
        found = self.image_processor
        size = found.get("size")
        edges: Mapping[str, Any] = size if isinstance(size, dict) else {}
        given = [found.get("patch_size"), found.get("merge_size")]
        given.append(found.get("min_pixels") or edges.get("shortest_edge"))
        given.append(found.get("max_pixels") or edges.get("longest_edge"))
        numbers = [one for one in given if isinstance(one, int) and one > 0]
        if len(numbers) < len(given):
            return None
        patch, merge, least, most = numbers
        return patch * merge, least, most

    @cached_property
    def processor(self) -> Any:
        """Its processor of text and images; None where transformers cannot build it here."""
        try:
            from transformers import AutoProcessor

            found = AutoProcessor.from_pretrained(self.name)
        except Exception:  # noqa: BLE001 - a package or file is missing, in as many ways as models
            return None
        return found if hasattr(found, "image_processor") else None

    @cached_property
    def tokenizer(self) -> Any:
        """Its tokenizer, with the chat template.

        Raises:
            ConfigError: if transformers is not there, or it cannot be read.
        """
        try:
            from transformers import AutoTokenizer
        except ModuleNotFoundError as error:
            raise ConfigError(f"--model needs {error.name}: pip install transformers") from error
        try:
            tokenizer = AutoTokenizer.from_pretrained(self.name)
        except (OSError, ValueError, KeyError) as error:
            first = str(error).partition("\n")[0]
            raise ConfigError(f"--model: the tokenizer of {self.name}: {first}") from error
        if not tokenizer.chat_template:
            tokenizer.chat_template = self._template()
        return tokenizer

    def _template(self) -> str | None:
        """Return the chat template where it stands beside the tokenizer, not in it."""
        for file in ("chat_template.json", "processor_config.json"):
            found = (self.json(file) or {}).get("chat_template")
            if isinstance(found, str):
                return found
        path = self._path("chat_template.jinja")
        return None if path is None else read_text(path)

    @property
    def image_token(self) -> str | None:
        """The token that stands for an image in a rendered prompt."""
        given = ((self.config or {}).get(name) for name in _IMAGE_TOKENS)
        number = next((one for one in given if isinstance(one, int)), None)
        if number is None:
            return None
        token = self.tokenizer.convert_ids_to_tokens(number)
        return token if isinstance(token, str) else None

    @property
    def takes_images(self) -> bool:
        """Whether its config.json speaks of images at all."""
        return any(name in (self.config or {}) for name in (*_IMAGE_TOKENS, "vision_config"))

    @property
    def end_tokens(self) -> list[str]:
        """The tokens that end a completion."""
        generation, config = self.json("generation_config.json") or {}, self.config or {}
        given = generation.get("eos_token_id", config.get("eos_token_id"))
        numbers = given if isinstance(given, list) else [given]
        tokens = [self.tokenizer.convert_ids_to_tokens(n) for n in numbers if isinstance(n, int)]
        return [token for token in tokens if isinstance(token, str)]

    def render(self, messages: Sequence[Mapping[str, Any]]) -> str:
        """Return a prompt as the chat template writes it, up to where a completion begins.

        Raises:
            ConfigError: if there is no template, or it refuses the messages.
        """
        if not self.tokenizer.chat_template:
            raise ConfigError(f"--model: {self.name} has no chat template, which trainers need")
        parts = [{**one, "content": message_parts(str(one["content"]))} for one in messages]
        try:
            text = self.tokenizer.apply_chat_template(
                parts, add_generation_prompt=True, tokenize=False, **self.options
            )
        except Exception as error:
            raise ConfigError(
                f"--model: the chat template of {self.name} refuses a prompt: {error}"
            ) from error
        return str(text)


def check_rows_for_model(
    model: ModelFiles,
    path: str | Path,
    scorer_of: ScorerOf | None = None,
    *,
    max_prompt: int | None = None,
) -> Iterator[str]:
    """Yield what is known of a model, then what does not fit a file of rows.

    Args:
        model: the model's files.
        path: the parquet file of rows, of which the first are rendered.
        scorer_of: returns the scorer of a row's data source and extra_info; None: that of the
            card.
        max_prompt: the most tokens that the trainer takes for a prompt; None: no limit.

    Raises:
        ConfigError: if the model cannot be read, or something does not fit; it names all of that.
    """
    yield from _about(model)
    scorers = scorer_of or scorers_of(None)
    problems: dict[str, int] = {}
    lengths: list[int | None] = []
    for number, row in enumerate(first_rows(path, ROWS)):
        bound = scorers(row["data_source"], row.get("extra_info"))
        text = model.render(row["prompt"])
        tokens = _length(model, text, row)
        lengths.append(tokens)
        found = [*_format_problems(bound, text), *_image_problems(model, text, row)]
        found += _frame_problems(model, bound, row)
        if max_prompt is not None and tokens is not None and tokens > max_prompt:
            found.append(
                f"the prompt has {tokens} tokens, its images' among them, and the limit is "
                f"{max_prompt}: trainers leave such rows out or cut them; use smaller images, less "
                f"knowledge (prepare --budget) or a higher limit"
            )
        for problem in found:
            problems.setdefault(problem, number)  # each once, with the first row that has it
    known = [length for length in lengths if length is not None]
    if known:
        yield f"prompts of {min(known)} to {max(known)} tokens, images among them"
    else:
        yield (
            "prompts: the tokens of images were NOT counted: the processor is none of Qwen's, and "
            "transformers cannot build it here"
        )
    if problems:
        lines = [f"row {number}: {problem}" for problem, number in problems.items()]
        raise ConfigError(f"{path} and {model.name}: " + "\n".join(lines))


def count_long(model: ModelFiles, path: str | Path, most: int) -> tuple[int, int] | None:
    """Return how many rows of a file have longer prompts than `most` tokens, and of how many.

    None: the tokens of images are not known for the model's processor.

    Raises:
        ConfigError: if the tokenizer or the file cannot be read.
    """
    with open_parquet(path) as file:
        total: int = file.metadata.num_rows
        bar = show_progress(rows_in(file, path), total=total, desc="prompts' lengths", unit="row")
        lengths = [_length(model, model.render(row["prompt"]), row) for row in bar]
    if None in lengths:
        return None
    return sum(length is not None and length > most for length in lengths), total


def _about(model: ModelFiles) -> Iterator[str]:
    config = model.config or {}
    model_type = str(config.get("model_type", "unknown"))
    found = ", ".join(one.name for one in model.profiles)
    yield f"{model.name}: model type {model_type}; model profiles for it: {found or 'none'}"
    if model.resize is not None:
        factor, least, most = model.resize
        yield f"its processor resizes as --seen {factor} {least} {most} says"
    special = {*model.tokenizer.all_special_tokens}
    ends = model.end_tokens
    kept = [token for token in ends if token not in special and token not in END_TOKENS]
    yield f"completions end with {', '.join(ends) or 'no token that generation_config names'}"
    if kept:
        yield (
            f"note: {', '.join(kept)} is no special token of the tokenizer, so that it stays at "
            f"the end of completions; give the completion format end_tokens: {quote(kept)}"
        )


def _format_problems(bound: Scorer, text: str) -> Iterator[str]:
    """Yield where the end of a rendered prompt does not fit the completion format."""
    form, end = bound.format, text.rstrip()
    mine = form.reasoning
    mark, closing = mine or THINK_TAGS
    name = quote(form.name)
    if end.endswith(mark):
        if mine is None or form.opened_by == "model":
            yield (
                f"the chat template ends with {mark}, so that completions begin inside of the "
                f"reasoning and {name} is never right; take completion_format prefilled_think or "
                f"after_think, or turn thinking off in the template"
            )
    elif end.endswith(closing):
        if mine is not None:
            yield (
                f"the chat template ends with {closing}: thinking is off, and completions have no "
                f"reasoning of that kind; {name} asks for one. {_SWITCH}"
            )
    elif mine is not None and form.opened_by == "template":
        yield (
            f"the chat template does not end with {mark}, which {name} takes for granted; take "
            f"completion_format think_answer, or turn thinking on in the template. {_SWITCH}"
        )


def _image_problems(model: ModelFiles, text: str, row: Mapping[str, Any]) -> Iterator[str]:
    token, images = model.image_token, len(row["images"] or [])
    if token is None:
        if images and not model.takes_images:
            yield "config.json names no image_token_id: the model takes no images"
        return
    marks = text.count(token)
    if marks != images:
        yield (
            f"the rendered prompt has {marks} of the image token {token} for {images} images; the "
            f"chat template leaves out the images of the prompt, or wants them elsewhere"
        )


def _frame_problems(model: ModelFiles, bound: Scorer, row: Mapping[str, Any]) -> Iterator[str]:
    """Yield where boxes are in another frame, or for another resize, than the model's."""
    task = bound.task
    if not task.has_places:
        return
    frame = frame_of(task, bound.settings)
    own = {one.frame: one.name for one in model.profiles if one.frame}
    if own and frame not in own:
        named = ", ".join(f"{where} (profile {name})" for where, name in own.items())
        yield (
            f"the reward reads coordinates in the frame {quote(frame)}, and the model was trained "
            f"to give {named}; it can learn another one, but starts from nothing"
        )
    target = kind_of(task).parse(task, target_of(task, row["reward_model"]["ground_truth"]))
    seen = _seen(target)
    if frame != "resized" or seen is None or model.resize is None:
        return
    size = kind_of(task).size(target)
    if size is None:
        return
    resized = qwen_resized((int(size[0]), int(size[1])), *model.resize)
    if tuple(map(float, resized)) != tuple(seen):
        factor, least, most = model.resize
        yield (
            f"its target is for an image of {seen[0]:g} x {seen[1]:g} after the resize, and the "
            f"model's processor makes {resized[0]} x {resized[1]} of it; prepare the rows with "
            f"--seen {factor} {least} {most}"
        )


def _seen(target: Any) -> tuple[float, float] | None:
    for one in getattr(target, "targets", (target,)):
        seen: tuple[float, float] | None = getattr(one, "seen", None)
        if seen is not None:
            return seen
    return None


def _length(model: ModelFiles, text: str, row: Mapping[str, Any]) -> int | None:
    """Return how many tokens a prompt has, its images' among them; None if that is not known."""
    count = len(model.tokenizer(text, add_special_tokens=False)["input_ids"])
    pictures = row["images"] or []
    if not pictures:
        return count
    if model.image_token is None:
        return None
    try:
        if model.resize is None:
            return _processed_length(model, text, pictures)
        factor = model.resize[0]
        for picture in pictures:
            with open_image(image_of_row(picture)) as image:
                width, height = qwen_resized(image.size, *model.resize)
            count += width * height // factor**2 - 1  # in place of the one token that was rendered
    except UnusableError as error:
        raise ConfigError(f"images: {error}") from error
    return count


def _processed_length(model: ModelFiles, text: str, pictures: Sequence[Any]) -> int | None:
    """Return how many tokens the model's own processor makes; None if it cannot be built here."""
    if model.processor is None:
        return None
    images = []
    for picture in pictures:
        with open_image(image_of_row(picture)) as image:
            images.append(image.convert("RGB"))
    return len(model.processor(text=[text], images=[images])["input_ids"][0])
