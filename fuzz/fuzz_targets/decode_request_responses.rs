#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| llm_proxy_fuzz::request(&llm_proxy_fuzz::codec::openai_responses::OpenAiResponses, data));
