# Run by `helm test`, in a shell as small as busybox: asks the release for a real answer.
case $POD_IP in *:*) host="[$POD_IP]" ;; *) host=$POD_IP ;; esac
api=$LLM_PROXY_URL/admin/v1
name=helm-test-$POD_UID
provider= credential=

call() { curl -fsS --max-time 20 --retry 5 --retry-delay 1 --retry-all-errors "$@"; }
admin() { call -H "Authorization: Bearer $ADMIN_KEY" -H "X-Admin-Actor: helm-test" "$@"; }
number() { sed -n "s/.*\"id\": *\([0-9][0-9]*\).*/\1/p" | head -n 1; }
clean_up() {
    [ -z "$credential" ] || admin -X DELETE "$api/credentials/$credential" >/dev/null
    [ -z "$provider" ] || admin -X DELETE "$api/providers/$provider" >/dev/null
}
trap clean_up EXIT

call "$LLM_PROXY_URL/health/ready"
echo
provider=$(admin "$api/providers" -d "{\"provider_key\": \"$name\", \"provider_type\": \"openai\",
  \"api_base\": \"http://$host:18001/v1\", \"api_key\": \"sk-helm-test\",
  \"model_mapping\": {\"$name\": \"mock-echo\"}}" | number)
made=$(admin "$api/credentials" -d "{\"name\": \"$name\", \"allowed_models\": [\"$name\"]}")
credential=$(echo "$made" | number)
key=$(echo "$made" | sed -n 's/.*"key": *"\(sk-[^"]*\)".*/\1/p')

ask() {
    call "$LLM_PROXY_URL/v1/chat/completions" -H "Authorization: Bearer $key" \
        -d "{\"model\": \"$name\", \"stream\": $1, \"messages\": [{\"role\": \"user\", \"content\": \"through-the-service\"}]}"
}
ask false | grep through-the-service
ask true | grep -F '[DONE]'
echo "llm-proxy answers at $LLM_PROXY_URL"
