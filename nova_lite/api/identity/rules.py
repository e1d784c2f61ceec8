"""Policy rules of the identity API, by the names operators know, with their defaults.

Some are open to everybody who has a token: the service behind them shows one's
own user, projects and tokens to everybody, and the rest to admins and readers
of the system alone.
"""

from __future__ import annotations

ADMIN = "role:admin"
READ = "role:admin or (role:reader and system_scope:all)"
OWN = "@"

RULES: dict[str, str] = {
    "identity:validate_token": OWN,
    "identity:check_token": OWN,
    "identity:revoke_token": OWN,
    "identity:get_auth_catalog": OWN,
    "identity:get_auth_projects": OWN,
    "identity:get_auth_domains": OWN,
    "identity:list_domains": READ,
    "identity:get_domain": OWN,
    "identity:create_domain": ADMIN,
    "identity:update_domain": ADMIN,
    "identity:delete_domain": ADMIN,
    "identity:list_projects": READ,
    "identity:get_project": OWN,
    "identity:create_project": ADMIN,
    "identity:update_project": ADMIN,
    "identity:delete_project": ADMIN,
    "identity:list_user_projects": OWN,
    "identity:list_users": READ,
    "identity:get_user": OWN,
    "identity:create_user": ADMIN,
    "identity:update_user": ADMIN,
    "identity:delete_user": ADMIN,
    "identity:list_roles": READ,
    "identity:get_role": READ,
    "identity:create_role": ADMIN,
    "identity:update_role": ADMIN,
    "identity:delete_role": ADMIN,
    "identity:list_grants": READ,
    "identity:check_grant": READ,
    "identity:create_grant": ADMIN,
    "identity:revoke_grant": ADMIN,
    "identity:list_system_grants_for_user": READ,
    "identity:check_system_grant_for_user": READ,
    "identity:create_system_grant_for_user": ADMIN,
    "identity:revoke_system_grant_for_user": ADMIN,
    "identity:list_role_assignments": READ,
    "identity:list_services": READ,
    "identity:get_service": READ,
    "identity:list_endpoints": READ,
    "identity:get_endpoint": READ,
    # Keystone shows the regions to everybody who has a token.
    "identity:list_regions": "@",
    "identity:get_region": "@",
}
