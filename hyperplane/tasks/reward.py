"""Reward: answers that the net itself tries become likelier the more they are worth (group-relative policy gradient).

Shao et al. 2024, "DeepSeekMath" (arXiv:2402.03300), made plain: each prompt is answered `answers` times, and the
advantage of an answer is its reward minus the mean of its group's. Every step learns from answers of the net as it is,
so that there is no ratio to clip; there is no KL term, no division by the group's deviation (Liu et al. 2025,
arXiv:2503.20783), and every token of the step counts alike (Yu et al. 2025, arXiv:2503.14476): the gradient is that of
−Σ advantage · log π(token) / number of tokens. What is told as the loss is 1 − reward, its mean over the answers.

The reward is 1 where an exercise's check says that the answer is right, or it equals the one that is known, else 0, or
what a function of the user's own returns (`tasks/blocks/rewards.py`). Shapes: B prompts, G answers to each, T tokens.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from hyperplane.contracts import Batch, Description, Metric, Output, Sniff, Source
from hyperplane.data.blocks import exercises
from hyperplane.errors import UserError
from hyperplane.nets.gpt import GPT
from hyperplane.tasks.blocks import rewards
from hyperplane.tasks.blocks.answers import EXACT, Answers, log_likelihood
from hyperplane.tasks.blocks.rollouts import Rollouts
from hyperplane.tasks.blocks.writing import answer, likeliest


def fits(description: Description) -> Sniff:
    """Return how well the task suits the data, and why."""
    if "answer_BT" not in description.shapes:
        return Sniff(0.0, "the samples are no prompts with answers")
    return Sniff(0.4, "answers to the prompts may be tried and rewarded")


class Reward(Answers):
    """Learn from what the net's own answers are worth."""

    METRICS = (
        EXACT,
        Metric("reward", "", "higher", "mean reward of the likeliest answer"),
        Metric("loss", "", "lower", "1 minus the reward"),
    )
    STEERS = True

    def __init__(self, description: Description, *, answers: int = 16, reward: str = "") -> None:
        """Build it; each prompt gets so many answers, 2 or more; `reward` names FILE.py:FUNCTION, or nothing."""
        super().__init__(description)
        if answers < 2:
            raise UserError(
                f"task reward: found {answers} answer{'s' * (answers != 1)}, expected 2 or more to compare; "
                "type: --task.answers 16"
            )
        self.answers, self.reward = answers, reward
        self.score: rewards.Reward | None = None if reward else self._checked

    def practice(self, source: Source) -> Rollouts:
        """Return a source whose samples the net answers; runs the file of the user's own reward."""
        if self.score is None:
            self.score = rewards.load(self.reward)
        return Rollouts(source, self.end, self.answers)

    def forward(self, net: nn.Module, batch: Batch, taps: dict[str, Tensor] | None = None) -> Output:
        """Return 1 − reward of each prompt, with the gradient of the policy; the term `reward` is the mean reward.

        Where nobody answered yet (in evaluation), the net's likeliest answer is looked at.
        """
        if "written_BGT" in batch.fields:
            token_BGT, answer_BGT = batch["written_BGT"], batch["wrote_BGT"]
        else:
            token_BT = batch.fields[self.input]
            said = answer(cast(GPT, net), token_BT, batch["prompt_B"], self.end, likeliest)
            token_BGT, answer_BGT = said.token_NGT, said.answer_NGT
        reward_BG = self.rewards(batch, answer_BGT)
        reward_B = reward_BG.mean(1)
        advantage_N = (reward_BG - reward_B[:, None]).flatten()
        live_N = advantage_N != 0  # an answer as good as its group's mean moves nothing, and is not computed
        live_N[0] = True
        which = live_N.nonzero()[:, 0]
        log_LT = log_likelihood(net, token_BGT.flatten(0, 1)[which], answer_BGT.flatten(0, 1)[which], taps)
        gain_N = torch.zeros_like(advantage_N).index_put((which,), advantage_N[which] * log_LT.sum(1))
        tokens = (answer_BGT >= 0).sum() / len(reward_B)
        surrogate_B = -gain_N.view_as(reward_BG).sum(1) / tokens
        loss_B = 1 - reward_B + surrogate_B - surrogate_B.detach()
        return Output(loss_B, answer_BGT[:, 0], {"reward": reward_B}, taps or {})

    def rewards(self, batch: Batch, answer_BGT: Tensor) -> Tensor:
        """Return what each answer is worth, (B, G); raises UserError where a function of the user's own does."""
        if self.score is None:
            raise UserError(
                f"task reward: {self.reward} says what answers are worth, which is code that only training runs; what "
                "it measured is in the run's report"
            )
        copies = answer_BGT.shape[1]
        said = self.said(answer_BGT.flatten(0, 1))
        prompts, known = self.asked(batch), self.said(batch["answer_BT"])
        worth = [self.score(prompts[k // copies], text, known[k // copies]) for k, text in enumerate(said)]
        return torch.tensor(worth, device=answer_BGT.device).view(-1, copies)

    def statistics(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        """Return reward_B besides."""
        return super().statistics(output, batch) | {"reward_B": output.terms["reward"]}

    def measure(self, statistics: dict[str, Tensor]) -> dict[str, float]:
        """Return the share of right answers, the mean reward, and the mean loss."""
        told = super().measure(statistics)
        return {"exact": told["exact"], "reward": statistics["reward_B"].double().mean().item(), "loss": told["loss"]}

    def _checked(self, prompt: str, text: str, expected: str) -> float:
        return float(exercises.right(self.exercise, prompt, text, expected))


TASK = Reward
