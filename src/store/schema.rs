//! The tables, with the SQL types that both backends share; see `diesel.toml`.

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::column_types::*;

    providers (id) {
        id -> Integer,
        provider_key -> Text,
        provider_type -> Text,
        api_base -> Text,
        api_key -> Text,
        model_mapping -> JsonDoc,
        weight -> Integer,
        provider_params -> JsonDoc,
        is_enabled -> Bool,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::column_types::*;

    credentials (id) {
        id -> Integer,
        credential_key -> Text,
        name -> Text,
        allowed_models -> TextList,
        rate_limit -> Nullable<Integer>,
        burst -> Nullable<Integer>,
        is_enabled -> Bool,
        expires_at -> Nullable<Instant>,
        previous_credential_key -> Nullable<Text>,
        previous_valid_until -> Nullable<Instant>,
        created_at -> Instant,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::column_types::*;

    config_version (id) {
        id -> Integer,
        version -> BigInt,
        updated_at -> Instant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::column_types::*;

    config_changes (id) {
        id -> BigInt,
        version -> BigInt,
        at -> Instant,
        actor -> Text,
        action -> Text,
        entity -> Text,
        entity_id -> Integer,
        entity_name -> Text,
        before -> Nullable<JsonDoc>,
        after -> Nullable<JsonDoc>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::column_types::*;

    request_logs (id) {
        id -> BigInt,
        timestamp -> Instant,
        request_id -> Text,
        endpoint -> Text,
        credential_name -> Text,
        client -> Text,
        model_requested -> Nullable<Text>,
        model_mapped -> Nullable<Text>,
        provider_name -> Nullable<Text>,
        provider_type -> Nullable<Text>,
        client_protocol -> Text,
        provider_protocol -> Nullable<Text>,
        is_streaming -> Bool,
        status_code -> Integer,
        outcome -> Text,
        attempts -> Integer,
        input_tokens -> Nullable<BigInt>,
        output_tokens -> Nullable<BigInt>,
        total_tokens -> Nullable<BigInt>,
        cached_tokens -> Nullable<BigInt>,
        reasoning_tokens -> Nullable<BigInt>,
        estimated -> Bool,
        total_duration_ms -> BigInt,
        ttft_ms -> Nullable<BigInt>,
        gateway_us -> Nullable<BigInt>,
        dropped_fields -> Nullable<Text>,
        error_category -> Nullable<Text>,
        error_message -> Nullable<Text>,
        upstream_request_id -> Nullable<Text>,
        replica_id -> Text,
        config_version -> BigInt,
        request_headers -> Nullable<Text>,
        request_body -> Nullable<Text>,
        response_body -> Nullable<Text>,
        cost_microusd -> Nullable<BigInt>,
        cache_write_tokens -> Nullable<BigInt>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::column_types::*;

    error_logs (id) {
        id -> BigInt,
        request_id -> Text,
        timestamp -> Instant,
        attempt -> Integer,
        error_category -> Text,
        error_code -> Nullable<Text>,
        error_message -> Nullable<Text>,
        endpoint -> Text,
        client_protocol -> Text,
        request_headers -> Nullable<Text>,
        request_body -> Nullable<Text>,
        provider_name -> Nullable<Text>,
        provider_api_base -> Nullable<Text>,
        provider_protocol -> Nullable<Text>,
        model_requested -> Nullable<Text>,
        mapped_model -> Nullable<Text>,
        response_status_code -> Nullable<Integer>,
        response_body -> Nullable<Text>,
        total_duration_ms -> Nullable<BigInt>,
        credential_name -> Text,
        client -> Text,
        is_streaming -> Bool,
        provider_request_headers -> Nullable<Text>,
        provider_request_body -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::column_types::*;

    replicas (id) {
        id -> Text,
        version -> BigInt,
        app_version -> Text,
        started_at -> Instant,
        seen_at -> Instant,
    }
}
