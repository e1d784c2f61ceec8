"""Who may do what: oslo.policy with the names of the original projects' rules.

Whose a thing is, is not policy: a service answers 404 for what is not yours,
so that existence does not leak.  So a rule depends on roles and scope alone,
and its verdict is remembered.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from oslo_config import cfg
from oslo_policy import policy as oslo_policy

from nova_lite.api.rules import RULES
from nova_lite.context import RequestContext
from nova_lite.domain.errors import Forbidden

if TYPE_CHECKING:
    from nova_lite.api.declare import Request


class Policy:
    """The rules, with an operator's overrides from `policy_file` if there is one.

    Raises ValueError for a file that cannot be understood.
    """

    def __init__(self, policy_file: str | None = None) -> None:
        config = cfg.ConfigOpts()
        config([], default_config_files=[], default_config_dirs=[])
        # Without a file it would not load the defaults either.
        self._enforcer = oslo_policy.Enforcer(
            config,
            policy_file=policy_file,
            rules=None if policy_file else oslo_policy.Rules.from_dict(RULES),
            use_conf=policy_file is not None,
        )
        self._enforcer.suppress_deprecation_warnings = True
        self._enforcer.register_defaults(
            [oslo_policy.RuleDefault(name, rule) for name, rule in RULES.items()]
        )
        try:
            self._enforcer.load_rules()
        except (ValueError, TypeError, AttributeError):
            raise ValueError(
                f"{policy_file} is not a policy file: NAME: RULE lines in YAML"
            ) from None
        # Read once: else a file that changes would be heeded by those verdicts
        # only that nobody remembers yet.
        self._enforcer.use_conf = False
        self.decide = lru_cache(maxsize=10_000)(self._decide)

    def _decide(self, rule: str, roles: frozenset[str], scope: str) -> bool:
        credentials = {"roles": sorted(roles), "token_scope": scope}
        if scope == "system":
            credentials["system_scope"] = ["all"]
        # An endpoint with a rule nobody declared is an error, never an open door.
        return bool(self._enforcer.authorize(rule, {}, credentials))


def scope_of(context: RequestContext) -> str:
    if context.system_scope:
        return "system"
    if context.domain_id:
        return "domain"
    return "project" if context.project_id else "none"


def allows(rule: str, request: Request) -> bool:
    """Whether the asker of `request` may do what `rule` is about."""
    context = request.context
    policy: Policy = request.environ["nova_lite.policy"]
    return policy.decide(rule, context.roles, scope_of(context))


def require(rule: str, request: Request) -> None:
    """Raise Forbidden unless `rule` allows; for what only shows in the body or the query."""
    if not allows(rule, request):
        raise Forbidden(f"Policy doesn't allow {rule} to be performed.")
