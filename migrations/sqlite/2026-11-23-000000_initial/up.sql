-- Instants are epoch milliseconds, computed with julianday() because `unixepoch('subsec')` is
-- unknown to the sqlite3 shell of many distributions, and the triggers below run there too.
-- Ranges keep values within PostgreSQL's INTEGER, which is what the program reads.

CREATE TABLE providers (
    -- AUTOINCREMENT: an id is never used again, so history and health never mean another row.
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL CHECK (id BETWEEN 1 AND 2147483647),
    provider_key TEXT NOT NULL UNIQUE CHECK (length(provider_key) BETWEEN 1 AND 255),
    provider_type TEXT NOT NULL CHECK (length(provider_type) <= 50),
    api_base TEXT NOT NULL CHECK (length(api_base) <= 500),
    api_key TEXT NOT NULL,
    model_mapping TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(model_mapping)),
    weight INTEGER NOT NULL DEFAULT 1 CHECK (weight BETWEEN 0 AND 2147483647),
    provider_params TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(provider_params)),
    is_enabled INTEGER NOT NULL DEFAULT 1 CHECK (is_enabled IN (0, 1)),
    created_at INTEGER NOT NULL DEFAULT (CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER)),
    updated_at INTEGER NOT NULL DEFAULT (CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER))
) STRICT;

CREATE TABLE credentials (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL CHECK (id BETWEEN 1 AND 2147483647),
    credential_key TEXT NOT NULL UNIQUE CHECK (length(credential_key) <= 255),
    name TEXT NOT NULL CHECK (length(name) <= 255),
    allowed_models TEXT NOT NULL DEFAULT '[]'
        CHECK (json_valid(allowed_models) AND json_type(allowed_models) = 'array'),
    rate_limit INTEGER CHECK (rate_limit BETWEEN -2147483648 AND 2147483647),
    burst INTEGER CHECK (burst BETWEEN -2147483648 AND 2147483647),
    is_enabled INTEGER NOT NULL DEFAULT 1 CHECK (is_enabled IN (0, 1)),
    expires_at INTEGER,
    previous_credential_key TEXT CHECK (length(previous_credential_key) <= 255),
    previous_valid_until INTEGER,
    created_at INTEGER NOT NULL DEFAULT (CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER)),
    updated_at INTEGER NOT NULL DEFAULT (CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER))
) STRICT;

CREATE TABLE config_version (
    id INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
    version INTEGER NOT NULL DEFAULT 0,
    updated_at INTEGER NOT NULL DEFAULT (CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER))
) STRICT;

INSERT INTO config_version (id, version) VALUES (1, 0);

-- Written by the triggers below, so that a change made with plain SQL is in the history too.
-- `before` and `after` hold every column of the row under its name: JSON columns as JSON, flags
-- as true and false, instants as epoch milliseconds.
CREATE TABLE config_changes (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    version INTEGER NOT NULL,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL CHECK (action IN ('create', 'update', 'delete', 'rollback')),
    entity TEXT NOT NULL CHECK (entity IN ('provider', 'credential')),
    entity_id INTEGER NOT NULL,
    entity_name TEXT NOT NULL,
    before TEXT CHECK (before IS NULL OR json_valid(before)),
    after TEXT CHECK (after IS NULL OR json_valid(after))
) STRICT;

CREATE INDEX config_changes_version ON config_changes (version);

CREATE TABLE request_logs (
    id INTEGER PRIMARY KEY NOT NULL,
    timestamp INTEGER NOT NULL,
    request_id TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    credential_name TEXT NOT NULL,
    client TEXT NOT NULL,
    model_requested TEXT,
    model_mapped TEXT,
    provider_name TEXT,
    provider_type TEXT,
    client_protocol TEXT NOT NULL,
    provider_protocol TEXT,
    is_streaming INTEGER NOT NULL CHECK (is_streaming IN (0, 1)),
    status_code INTEGER NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('complete', 'failed', 'cancelled')),
    attempts INTEGER NOT NULL,
    input_tokens INTEGER,
    output_tokens INTEGER,
    total_tokens INTEGER,
    cached_tokens INTEGER,
    reasoning_tokens INTEGER,
    estimated INTEGER NOT NULL CHECK (estimated IN (0, 1)),
    total_duration_ms INTEGER NOT NULL,
    ttft_ms INTEGER,
    gateway_us INTEGER,
    dropped_fields TEXT,
    error_category TEXT,
    error_message TEXT,
    upstream_request_id TEXT,
    replica_id TEXT NOT NULL,
    config_version INTEGER NOT NULL,
    request_headers TEXT,
    request_body TEXT,
    response_body TEXT
) STRICT;

CREATE INDEX request_logs_timestamp ON request_logs (timestamp);
CREATE INDEX request_logs_request_id ON request_logs (request_id);

CREATE TABLE error_logs (
    id INTEGER PRIMARY KEY NOT NULL,
    request_id TEXT NOT NULL,
    timestamp INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    error_category TEXT NOT NULL,
    error_code TEXT,
    error_message TEXT,
    endpoint TEXT NOT NULL,
    client_protocol TEXT NOT NULL,
    request_headers TEXT,
    request_body TEXT,
    provider_name TEXT,
    provider_api_base TEXT,
    provider_protocol TEXT,
    model_requested TEXT,
    mapped_model TEXT,
    response_status_code INTEGER,
    response_body TEXT,
    total_duration_ms INTEGER,
    credential_name TEXT NOT NULL,
    client TEXT NOT NULL,
    is_streaming INTEGER NOT NULL CHECK (is_streaming IN (0, 1)),
    provider_request_headers TEXT,
    provider_request_body TEXT
) STRICT;

CREATE INDEX error_logs_timestamp ON error_logs (timestamp);
CREATE INDEX error_logs_request_id ON error_logs (request_id);

CREATE TABLE replicas (
    id TEXT PRIMARY KEY NOT NULL,
    version INTEGER NOT NULL,
    app_version TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    seen_at INTEGER NOT NULL
) STRICT;

CREATE TRIGGER providers_after_insert AFTER INSERT ON providers
BEGIN
    UPDATE config_version
    SET version = version + 1, updated_at = CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER)
    WHERE id = 1;
    INSERT INTO config_changes
        (version, at, actor, action, entity, entity_id, entity_name, before, after)
    SELECT version, updated_at, 'sql', 'create', 'provider', NEW.id, NEW.provider_key,
        NULL,
        json_object(
            'id', NEW.id,
            'provider_key', NEW.provider_key,
            'provider_type', NEW.provider_type,
            'api_base', NEW.api_base,
            'api_key', NEW.api_key,
            'model_mapping', json(NEW.model_mapping),
            'weight', NEW.weight,
            'provider_params', json(NEW.provider_params),
            'is_enabled', json(CASE NEW.is_enabled WHEN 1 THEN 'true' ELSE 'false' END),
            'created_at', NEW.created_at,
            'updated_at', NEW.updated_at
        )
    FROM config_version WHERE id = 1;
END;

CREATE TRIGGER providers_after_update AFTER UPDATE ON providers
BEGIN
    UPDATE config_version
    SET version = version + 1, updated_at = CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER)
    WHERE id = 1;
    INSERT INTO config_changes
        (version, at, actor, action, entity, entity_id, entity_name, before, after)
    SELECT version, updated_at, 'sql', 'update', 'provider', NEW.id, NEW.provider_key,
        json_object(
            'id', OLD.id,
            'provider_key', OLD.provider_key,
            'provider_type', OLD.provider_type,
            'api_base', OLD.api_base,
            'api_key', OLD.api_key,
            'model_mapping', json(OLD.model_mapping),
            'weight', OLD.weight,
            'provider_params', json(OLD.provider_params),
            'is_enabled', json(CASE OLD.is_enabled WHEN 1 THEN 'true' ELSE 'false' END),
            'created_at', OLD.created_at,
            'updated_at', OLD.updated_at
        ),
        json_object(
            'id', NEW.id,
            'provider_key', NEW.provider_key,
            'provider_type', NEW.provider_type,
            'api_base', NEW.api_base,
            'api_key', NEW.api_key,
            'model_mapping', json(NEW.model_mapping),
            'weight', NEW.weight,
            'provider_params', json(NEW.provider_params),
            'is_enabled', json(CASE NEW.is_enabled WHEN 1 THEN 'true' ELSE 'false' END),
            'created_at', NEW.created_at,
            'updated_at', NEW.updated_at
        )
    FROM config_version WHERE id = 1;
END;

CREATE TRIGGER providers_after_delete AFTER DELETE ON providers
BEGIN
    UPDATE config_version
    SET version = version + 1, updated_at = CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER)
    WHERE id = 1;
    INSERT INTO config_changes
        (version, at, actor, action, entity, entity_id, entity_name, before, after)
    SELECT version, updated_at, 'sql', 'delete', 'provider', OLD.id, OLD.provider_key,
        json_object(
            'id', OLD.id,
            'provider_key', OLD.provider_key,
            'provider_type', OLD.provider_type,
            'api_base', OLD.api_base,
            'api_key', OLD.api_key,
            'model_mapping', json(OLD.model_mapping),
            'weight', OLD.weight,
            'provider_params', json(OLD.provider_params),
            'is_enabled', json(CASE OLD.is_enabled WHEN 1 THEN 'true' ELSE 'false' END),
            'created_at', OLD.created_at,
            'updated_at', OLD.updated_at
        ),
        NULL
    FROM config_version WHERE id = 1;
END;

CREATE TRIGGER credentials_after_insert AFTER INSERT ON credentials
BEGIN
    UPDATE config_version
    SET version = version + 1, updated_at = CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER)
    WHERE id = 1;
    INSERT INTO config_changes
        (version, at, actor, action, entity, entity_id, entity_name, before, after)
    SELECT version, updated_at, 'sql', 'create', 'credential', NEW.id, NEW.name,
        NULL,
        json_object(
            'id', NEW.id,
            'credential_key', NEW.credential_key,
            'name', NEW.name,
            'allowed_models', json(NEW.allowed_models),
            'rate_limit', NEW.rate_limit,
            'burst', NEW.burst,
            'is_enabled', json(CASE NEW.is_enabled WHEN 1 THEN 'true' ELSE 'false' END),
            'expires_at', NEW.expires_at,
            'previous_credential_key', NEW.previous_credential_key,
            'previous_valid_until', NEW.previous_valid_until,
            'created_at', NEW.created_at,
            'updated_at', NEW.updated_at
        )
    FROM config_version WHERE id = 1;
END;

CREATE TRIGGER credentials_after_update AFTER UPDATE ON credentials
BEGIN
    UPDATE config_version
    SET version = version + 1, updated_at = CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER)
    WHERE id = 1;
    INSERT INTO config_changes
        (version, at, actor, action, entity, entity_id, entity_name, before, after)
    SELECT version, updated_at, 'sql', 'update', 'credential', NEW.id, NEW.name,
        json_object(
            'id', OLD.id,
            'credential_key', OLD.credential_key,
            'name', OLD.name,
            'allowed_models', json(OLD.allowed_models),
            'rate_limit', OLD.rate_limit,
            'burst', OLD.burst,
            'is_enabled', json(CASE OLD.is_enabled WHEN 1 THEN 'true' ELSE 'false' END),
            'expires_at', OLD.expires_at,
            'previous_credential_key', OLD.previous_credential_key,
            'previous_valid_until', OLD.previous_valid_until,
            'created_at', OLD.created_at,
            'updated_at', OLD.updated_at
        ),
        json_object(
            'id', NEW.id,
            'credential_key', NEW.credential_key,
            'name', NEW.name,
            'allowed_models', json(NEW.allowed_models),
            'rate_limit', NEW.rate_limit,
            'burst', NEW.burst,
            'is_enabled', json(CASE NEW.is_enabled WHEN 1 THEN 'true' ELSE 'false' END),
            'expires_at', NEW.expires_at,
            'previous_credential_key', NEW.previous_credential_key,
            'previous_valid_until', NEW.previous_valid_until,
            'created_at', NEW.created_at,
            'updated_at', NEW.updated_at
        )
    FROM config_version WHERE id = 1;
END;

CREATE TRIGGER credentials_after_delete AFTER DELETE ON credentials
BEGIN
    UPDATE config_version
    SET version = version + 1, updated_at = CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER)
    WHERE id = 1;
    INSERT INTO config_changes
        (version, at, actor, action, entity, entity_id, entity_name, before, after)
    SELECT version, updated_at, 'sql', 'delete', 'credential', OLD.id, OLD.name,
        json_object(
            'id', OLD.id,
            'credential_key', OLD.credential_key,
            'name', OLD.name,
            'allowed_models', json(OLD.allowed_models),
            'rate_limit', OLD.rate_limit,
            'burst', OLD.burst,
            'is_enabled', json(CASE OLD.is_enabled WHEN 1 THEN 'true' ELSE 'false' END),
            'expires_at', OLD.expires_at,
            'previous_credential_key', OLD.previous_credential_key,
            'previous_valid_until', OLD.previous_valid_until,
            'created_at', OLD.created_at,
            'updated_at', OLD.updated_at
        ),
        NULL
    FROM config_version WHERE id = 1;
END;
