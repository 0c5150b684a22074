"""A user's rule for what plates say: it decides between readings that the model itself holds for nearly as likely.

What does not fit is doubted, whatever the model says.
"""

from __future__ import annotations

import heapq
import re

import numpy as np

from lpr_e2e.common.errors import UserError
from lpr_e2e.common.text_forms import TextForms
from lpr_e2e.common.vocabulary import BLANK, UNSEEN, Vocabulary

# Texts that are tried at most, likeliest first.
MOST_TEXTS = 5000
# Texts of the model's forms that are drawn to see whether any fits.
_TRIALS = 2000


class FormatRule:
    r"""A regular expression that whole texts should match, such as `[0-9]{1,3}T[0-9]{1,4}`.

    Args:
        expression: in RE2's syntax, compiled by `re` or not; that is Python's without `\1` and looking ahead or back;
            `\d` is 0 to 9, and `\p{Nd}` the digits of any script. https://github.com/google/re2/wiki/Syntax
        least_likelihood: `Procedure.format_likelihood` of the model.

    Raises:
        ValueError: it is no regular expression.
    """

    def __init__(self, expression: str | re.Pattern, least_likelihood: float):
        # Its time grows with the text's length alone; with Python's own `re`, `([0-9]+)+X` takes for ever. It is
        # imported here because most predictions have no format.
        import re2

        self._least_likelihood = least_likelihood
        options = re2.Options()
        options.log_errors = False  # The exception says it.
        if isinstance(expression, re.Pattern):
            options.case_sensitive = not expression.flags & re.IGNORECASE
            expression = expression.pattern
        try:
            if not isinstance(expression, str):
                raise re2.error(f"not {type(expression).__name__}")
            self._expression = re2.compile(expression, options=options)
        except re2.error as error:
            reason = error.args[0].decode(errors="replace") if isinstance(error.args[0], bytes) else error
            raise UserError(
                f"format {expression!r}: expected a regular expression as RE2 knows them; {reason}"
            ) from None

    def fits(self, text: str) -> bool:
        """Whether a text is of the format; one of which not everything is seen may be."""
        return not text or UNSEEN in text or bool(self._expression.fullmatch(text))

    def warning(self, forms: TextForms) -> str:
        """What to tell a user whose format no plate of the model's country seems to meet; else ""."""
        texts = forms.drawn(np.random.default_rng(0), _TRIALS)
        if not texts or any(map(self.fits, texts)):
            return ""
        like = ", ".join(dict.fromkeys(texts[:3]))
        return (
            f"format {self._expression.pattern!r}: expected one that plates of this model meet, such as {like}; of "
            f"{len(texts)} such texts none does, and a reading that does not is never ok"
        )

    def decode(self, probabilities: np.ndarray, vocabulary: Vocabulary) -> tuple[str, np.ndarray]:
        """As `Vocabulary.decode`, but the likeliest text that fits, if there is one that is nearly as likely.

        The certainties are the model's own probabilities of the characters taken. They are not raised by the rule: a
        text that only the rule prefers stays as doubtful as the model found it.

        Args:
            probabilities: float `(slots, classes)`.
            vocabulary: the model's.
        """
        text, certainties = vocabulary.decode(probabilities)
        if not text or self._expression.fullmatch(text):
            return text, certainties
        likelihood = None
        for candidate, chances in _likeliest_texts(np.asarray(probabilities, "float64"), vocabulary):
            likelihood = likelihood or chances.prod()
            if chances.prod() < self._least_likelihood * likelihood:
                break
            if self._expression.fullmatch(candidate):
                return candidate, chances
        return text, certainties


def _likeliest_texts(probabilities: np.ndarray, vocabulary: Vocabulary):
    """Texts in the order of their probability, at most `MOST_TEXTS`, each with the probabilities of its characters.

    Slots are independent, so a text is one rank per slot. Every text but the likeliest of its length has a likelier
    one with one rank lower: a heap that starts with the likeliest of every length gives them in order.
    """
    slots = len(probabilities)
    letters = np.delete(probabilities, BLANK, axis=1)
    order = np.argsort(-letters, axis=1)
    classes = order + (order >= BLANK)

    def chances(length: int, ranks: tuple[int, ...]) -> np.ndarray:
        own = [letters[slot, order[slot, rank]] for slot, rank in enumerate(ranks)]
        return np.array(own if length == slots else [*own, probabilities[length, BLANK]])

    def entry(length: int, ranks: tuple[int, ...]):
        return -float(np.log(np.maximum(chances(length, ranks), 1e-30)).sum()), length, ranks

    heap = [entry(length, (0,) * length) for length in range(1, slots + 1)]
    heapq.heapify(heap)
    met = {(length, ranks) for _, length, ranks in heap}
    for _ in range(MOST_TEXTS):
        if not heap:
            return
        _, length, ranks = heapq.heappop(heap)
        text = "".join(vocabulary.characters[classes[slot, rank] - 1] for slot, rank in enumerate(ranks))
        yield text, chances(length, ranks)
        for slot in range(length):
            following = (*ranks[:slot], ranks[slot] + 1, *ranks[slot + 1 :])
            if following[slot] < letters.shape[1] and (length, following) not in met:
                met.add((length, following))
                heapq.heappush(heap, entry(length, following))
