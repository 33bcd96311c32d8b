-- The triggers go with their tables.
DROP TABLE providers;
DROP TABLE credentials;
DROP TABLE config_version;
DROP TABLE config_changes;
DROP TABLE request_logs;
DROP TABLE error_logs;
DROP TABLE replicas;
DROP FUNCTION config_changed();
DROP FUNCTION config_changes_in_line();
DROP FUNCTION config_row(JSONB);
