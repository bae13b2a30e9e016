"""How the tokens of two tokenizers lie over each other in a whole text."""

from dataclasses import dataclass

from espnet_lmkd.alignment.spans import blocks


@dataclass
class Coverage:
    """Counts over the sentences of a store.

    Args:
        sentences: Number of different sentences.
        student_tokens, teacher_tokens: Number of tokens of each side.
        student_unknown, teacher_unknown: Those of them that are the unknown token.
        one_to_one: `Block` of one student token and one teacher token.
        one_to_many: Of one student token and several of the teacher.
        many_to_one: Of several student tokens and one of the teacher.
        many_to_many: Of several on both sides.

    Example:
        >>> coverage = Coverage()
        >>> coverage.add([(0, 1), (1, 3)], 3, student_unknown=0, teacher_unknown=1)
        >>> print(coverage)
        1 sentences: 2 student tokens (0 unknown), 3 teacher tokens (1 unknown);
        of 2 blocks 50.0% 1:1, 50.0% 1:n, 0.0% n:1, 0.0% n:m
    """

    sentences: int = 0
    student_tokens: int = 0
    teacher_tokens: int = 0
    student_unknown: int = 0
    teacher_unknown: int = 0
    one_to_one: int = 0
    one_to_many: int = 0
    many_to_one: int = 0
    many_to_many: int = 0

    def add(self, ranges, num_teacher_tokens, student_unknown, teacher_unknown):
        """Count a sentence.

        Args:
            ranges: From `align`.
            num_teacher_tokens: Number of teacher tokens.
            student_unknown: How many student tokens are unknown.
            teacher_unknown: How many teacher tokens are.
        """
        self.sentences += 1
        self.student_tokens += len(ranges)
        self.teacher_tokens += num_teacher_tokens
        self.student_unknown += student_unknown
        self.teacher_unknown += teacher_unknown
        for (first, end), (teacher_first, teacher_end) in blocks(
            ranges, num_teacher_tokens
        ):
            student = "one" if end - first == 1 else "many"
            teacher = "one" if teacher_end - teacher_first == 1 else "many"
            kind = f"{student}_to_{teacher}"
            setattr(self, kind, getattr(self, kind) + 1)

    def __str__(self):
        kinds = {
            "1:1": self.one_to_one,
            "1:n": self.one_to_many,
            "n:1": self.many_to_one,
            "n:m": self.many_to_many,
        }
        total = sum(kinds.values())
        shares = ", ".join(f"{n / max(total, 1):.1%} {k}" for k, n in kinds.items())
        return (
            f"{self.sentences} sentences:"
            f" {self.student_tokens} student tokens ({self.student_unknown} unknown),"
            f" {self.teacher_tokens} teacher tokens ({self.teacher_unknown} unknown);"
            f"\nof {total} blocks {shares}"
        )
