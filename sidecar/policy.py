"""The autoscaling policy of the user's own, in the replica that the controller asks: found, called, judged."""

from __future__ import annotations

import inspect
import logging
import math
import threading
from collections.abc import Callable
from contextlib import suppress
from numbers import Real

from mesh.autoscaling import AutoscalingConfig, AutoscalingContext
from mesh.config import DeploymentConfig
from mesh.context import ReplicaContext
from mesh.target import load_target
from mesh.v1 import controller_pb2 as pb
from sidecar.user_code import users_traceback

_log = logging.getLogger(__name__)


class ScalingPolicy:
    """Answers questions on the loop; the policy itself runs in a thread of its own: a slow one holds up nothing.

    ``post(function, argument)`` has a function called on the loop, ``tell`` hears that ``answer`` is another one.
    """

    def __init__(
        self,
        replica: ReplicaContext,
        config: DeploymentConfig,
        read_blob: Callable[[str], bytes],
        post: Callable[[Callable[[pb.PolicyAnswer], object], pb.PolicyAnswer], object],
    ) -> None:
        self.config = config
        self.answer: pb.PolicyAnswer | None = None
        """The last one; None before there was a question."""
        self.tell: Callable[[], object] = lambda: None
        self._replica = replica
        self._read_blob = read_blob
        self._post = post
        self._found: tuple[str, Callable[[AutoscalingContext], object]] | None = None
        self._asked = 0
        self._thinking = ""  # the name of the policy that has been asked and has not answered

    def ask(self, question: pb.PolicyQuestion) -> None:
        """Answer in a while. A question that comes while the policy has not returned is not asked.

        Another policy than the one that has not returned is asked: the old one may hang for ever.
        """
        scaling = self.config.autoscaling_config
        if scaling is None or not scaling.policy_name or question.number == self._asked:
            return
        if self._thinking == scaling.policy_name:
            return
        self._asked = question.number
        self._thinking = scaling.policy_name
        try:
            threading.Thread(target=self._think, args=(scaling, question), name="policy", daemon=True).start()
        except RuntimeError as error:
            failure = f"policy {scaling.policy_name} cannot be asked: {error}"
            self._answered(pb.PolicyAnswer(number=question.number, failure=failure))

    def _think(self, scaling: AutoscalingConfig, question: pb.PolicyQuestion) -> None:
        context = AutoscalingContext(
            application=self._replica.application,
            deployment=self._replica.deployment,
            num_replicas=question.num_replicas,
            running_replicas=question.running_replicas,
            ongoing_requests=question.ongoing_requests,
            min_replicas=scaling.min_replicas,
            max_replicas=scaling.max_replicas,
            target_ongoing_requests=scaling.target_ongoing_requests,
        )
        answer = pb.PolicyAnswer(number=question.number)
        try:
            answer.replicas = checked(self._find(scaling)(context))
        except BaseException as error:  # whatever it raises, the controller has to hear of it
            answer.failure = f"policy {scaling.policy_name} raised {type(error).__name__}: {error}"
            if isinstance(error, Nonsense):
                answer.failure = f"policy {scaling.policy_name} {error}"
            elif self.answer is None or self.answer.failure != answer.failure:
                _log.error("the autoscaling policy raised\n%s", users_traceback(error).rstrip())
        with suppress(RuntimeError):  # the replica has ended meanwhile
            self._post(self._answered, answer)

    def _find(self, scaling: AutoscalingConfig) -> Callable[[AutoscalingContext], object]:
        """The policy; the same object again as long as it bears the same name, because it may remember something."""
        name = scaling.policy_name
        found = self._found  # another thread may be here: that of a policy which was asked before and hangs
        if found is None or found[0] != name:
            blob = self._read_blob(scaling.policy_blob) if scaling.policy_blob else b""
            self._found = found = name, load_target("" if blob else name, blob)
        return found[1]

    def _answered(self, answer: pb.PolicyAnswer) -> None:
        if answer.number != self._asked:
            return  # too late: another policy has been asked since
        self._thinking = ""
        self.answer = answer
        self.tell()


class Nonsense(Exception):
    """A policy returned what is no number of replicas."""


def checked(returned: object) -> float:
    """What a policy returned, if it is a number of replicas. Raises :class:`Nonsense`."""
    if inspect.iscoroutine(returned):
        returned.close()
    if not isinstance(returned, Real) or isinstance(returned, bool):
        raise Nonsense(f"returned {returned!r}, which is no number")
    number = float(returned)
    if not math.isfinite(number) or number < 0:
        raise Nonsense(f"returned {returned!r}, which is no number of replicas")
    return min(number, 1e9)
