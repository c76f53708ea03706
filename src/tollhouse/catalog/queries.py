"""The catalogue's statements."""

from tollhouse.store import Sql

ALL_VERSIONS = Sql("select plan, version, content_hash, content from plan_version order by plan, version")

INSERT_VERSION = Sql(
    """
    insert into plan_version (plan, version, content_hash, content, created_at)
    values (:plan, :version, :content_hash, :content, :created_at)
    on conflict do nothing
    """
)

UPDATE_PRESENTATION = Sql(
    "update plan_version set content = :content where plan = :plan and version = :version and content <> :content"
)

ALL_METERS = Sql("select name, content from meter_definition order by name")

INSERT_METER = Sql(
    """
    insert into meter_definition (name, kind, decimals, content) values (:name, :kind, :decimals, :content)
    on conflict do nothing
    """
)

UPDATE_METER = Sql("update meter_definition set content = :content where name = :name and content <> :content")
