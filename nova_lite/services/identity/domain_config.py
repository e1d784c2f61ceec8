"""What an operator wants one domain to do differently: Keystone's domain configuration.

It is kept and shown.  Which options there are, and what they are by default, is
Keystone's list, so that its tools find here what they expect.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.context import RequestContext
from nova_lite.db.engine import Database, one_transaction
from nova_lite.db.models import Domain, DomainOption
from nova_lite.domain.errors import Forbidden, NotFound
from nova_lite.services.identity.registry import there

Config = dict[str, Any]

DEFAULTS: dict[str, dict[str, Any]] = {
    "identity": {"driver": "sql", "list_limit": None},
    "ldap": {
        "url": "ldap://localhost",
        "user": None,
        "suffix": "cn=example,cn=com",
        "query_scope": "one",
        "page_size": 0,
        "alias_dereferencing": "default",
        "debug_level": None,
        "chase_referrals": None,
        "user_tree_dn": None,
        "user_filter": None,
        "user_objectclass": "inetOrgPerson",
        "user_id_attribute": "cn",
        "user_name_attribute": "sn",
        "user_mail_attribute": "mail",
        "user_description_attribute": "description",
        "user_pass_attribute": "userPassword",
        "user_enabled_attribute": "enabled",
        "user_enabled_invert": False,
        "user_enabled_mask": 0,
        "user_enabled_default": "True",
        "user_attribute_ignore": ["default_project_id"],
        "user_default_project_id_attribute": None,
        "user_enabled_emulation": False,
        "user_enabled_emulation_dn": None,
        "user_enabled_emulation_use_group_config": False,
        "user_additional_attribute_mapping": [],
        "group_tree_dn": None,
        "group_filter": None,
        "group_objectclass": "groupOfNames",
        "group_id_attribute": "cn",
        "group_name_attribute": "ou",
        "group_members_are_ids": False,
        "group_member_attribute": "member",
        "group_desc_attribute": "description",
        "group_attribute_ignore": [],
        "group_additional_attribute_mapping": [],
        "tls_cacertfile": None,
        "tls_cacertdir": None,
        "use_tls": False,
        "tls_req_cert": "demand",
        "use_pool": True,
        "pool_size": 10,
        "pool_retry_max": 3,
        "pool_retry_delay": 0.1,
        "pool_connection_timeout": -1,
        "pool_connection_lifetime": 600,
        "use_auth_pool": True,
        "auth_pool_size": 100,
        "auth_pool_connection_lifetime": 60,
    },
}
#: They can be set, and are never shown.
SENSITIVE = {"ldap": ("password",)}
#: What a user's new password must look like, for whom its domain's readers are told; nothing yet.
COMPLIANCE: Config = {"password_regex": None, "password_regex_description": None}
COMPLIANCE_DOMAIN = "default"


def defaults(group: str | None = None, option: str | None = None) -> Config:
    """What is so unless a domain's configuration says otherwise.

    Raises Forbidden for what no domain can have otherwise, and for what is secret.
    """
    _check_names(group, option, secrets=False)
    if group is None:
        return {name: dict(options) for name, options in DEFAULTS.items()}
    if option is None:
        return {group: dict(DEFAULTS[group])}
    return {option: DEFAULTS[group][option]}


class DomainConfig:
    def __init__(self, database: Database) -> None:
        self.database = database

    def get(
        self,
        _context: RequestContext,
        domain_id: str,
        group: str | None = None,
        option: str | None = None,
    ) -> Config:
        """What was set, without what is secret: all of it, a group, or one option alone.

        Raises NotFound when nothing was, and Forbidden for what cannot be.
        """
        with self.database.read() as session:
            there(session, Domain, "domain", domain_id)
            _check_names(group, option)
            found = _shown(_options(session, domain_id, group, option))
        if not found:
            raise _nothing(domain_id, group, option)
        return found if option is None or group is None else dict(found[group])

    def compliance(
        self, _context: RequestContext, domain_id: str, option: str | None = None
    ) -> Config:
        """What is asked of passwords; that is told of the default domain only."""
        with self.database.read() as session:
            there(session, Domain, "domain", domain_id)
        if domain_id != COMPLIANCE_DOMAIN or option not in (None, *COMPLIANCE):
            raise Forbidden(
                f"Of security_compliance only {', '.join(COMPLIANCE)} of the domain "
                f"{COMPLIANCE_DOMAIN} can be read."
            )
        return {"security_compliance": dict(COMPLIANCE)} if option is None else {option: None}

    @one_transaction
    def replace(
        self, _context: RequestContext, domain_id: str, config: Config
    ) -> tuple[Config, bool]:
        """Set all of this and nothing else; and whether there was nothing before."""
        with self.database.write() as session:
            there(session, Domain, "domain", domain_id, lock=True)
            _check(config)
            before = _options(session, domain_id)
            for option in before:
                session.delete(option)
            session.flush()
            _set(session, domain_id, config)
            return _shown(_options(session, domain_id)), not before

    @one_transaction
    def update(
        self,
        _context: RequestContext,
        domain_id: str,
        config: Config,
        group: str | None = None,
        option: str | None = None,
    ) -> Config:
        """Set this as well; of a group or an option only what was set before.

        The whole configuration is answered.
        """
        with self.database.write() as session:
            there(session, Domain, "domain", domain_id, lock=True)
            _check_names(group, option)
            if group is not None and option is not None:
                if list(config) != [option]:
                    raise Forbidden(f"Option {option}, and nothing else, is to be in the config.")
                config = {group: config}
            _check(config)
            if group is not None:
                if list(config) != [group]:
                    raise Forbidden(f"Group {group}, and nothing else, is to be in the config.")
                if not _options(session, domain_id, group, option):
                    raise _nothing(domain_id, group, option)
            _set(session, domain_id, config)
            return _shown(_options(session, domain_id))

    @one_transaction
    def delete(
        self,
        _context: RequestContext,
        domain_id: str,
        group: str | None = None,
        option: str | None = None,
    ) -> None:
        """Raises NotFound for a group, or an option, that was not set."""
        with self.database.write() as session:
            there(session, Domain, "domain", domain_id, lock=True)
            _check_names(group, option)
            found = _options(session, domain_id, group, option)
            if not found and group is not None:
                raise _nothing(domain_id, group, option)
            for one in found:
                session.delete(one)


def _options(
    session: Session, domain_id: str, group: str | None = None, option: str | None = None
) -> list[DomainOption]:
    wanted = {"domain_id": domain_id, "group": group, "option": option}
    query = sa.select(DomainOption).filter_by(**{k: v for k, v in wanted.items() if v is not None})
    return list(session.scalars(query.order_by(DomainOption.group, DomainOption.option)))


def _shown(options: Iterable[DomainOption]) -> Config:
    found: Config = {}
    for one in options:
        if one.option not in SENSITIVE.get(one.group, ()):
            [found.setdefault(one.group, {})[one.option]] = one.value
    return found


def _set(session: Session, domain_id: str, config: Mapping[str, Mapping[str, Any]]) -> None:
    for group, options in config.items():
        for option, value in options.items():
            session.merge(
                DomainOption(domain_id=domain_id, group=group, option=option, value=[value])
            )
    session.flush()


def _check(config: Config) -> None:
    """Raises Forbidden, as Keystone does, for a configuration that cannot be."""
    if not config:
        raise Forbidden("Invalid domain specific configuration: no options specified.")
    for group, options in config.items():
        if not isinstance(options, dict) or not options:
            raise Forbidden(
                f"Invalid domain specific configuration: group {group} is to be a dictionary "
                "of options."
            )
        for option in options:
            _check_names(group, option)


def _check_names(group: str | None, option: str | None, *, secrets: bool = True) -> None:
    if group is None:
        return
    if group not in DEFAULTS:
        raise Forbidden(
            f"Invalid domain specific configuration: group {group} is not supported "
            "for domain specific configurations."
        )
    known = (*DEFAULTS[group], *(SENSITIVE.get(group, ()) if secrets else ()))
    if option is not None and option not in known:
        raise Forbidden(
            f"Invalid domain specific configuration: option {option} in group {group} is not "
            "supported for domain specific configurations."
        )


def _nothing(domain_id: str, group: str | None, option: str | None) -> NotFound:
    what = f"option {option} in group {group}" if option else f"group {group}" if group else "any"
    return NotFound(f"Could not find {what} in the configuration of domain {domain_id}.")
