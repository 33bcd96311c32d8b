// Checks manifests of kinds that Kubernetes itself does not know, by the models made of their own
// definitions: values by the validators, unknown fields by the types. Reads a JSON list of manifests.
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { HTTPRoute } from "@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1";
import { PrometheusRule, ServiceMonitor } from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1";

const kinds = { HTTPRoute, PrometheusRule, ServiceMonitor };
const [list, scratch] = process.argv.slice(2);
const manifests = JSON.parse(readFileSync(list, "utf8"));
let code = `import type { IHTTPRoute } from "@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1";
import type { IPrometheusRule, IServiceMonitor } from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1";
`;
for (const [at, manifest] of manifests.entries()) {
    new kinds[manifest.kind](manifest).validate();
    code += `export const m${at}: I${manifest.kind} = ${JSON.stringify(manifest)};\n`;
}
writeFileSync(scratch, code);
const flags = ["--noEmit", "--strict", "--skipLibCheck", "--module", "nodenext", "--target", "es2022"];
execFileSync("node", [new URL("node_modules/typescript/bin/tsc", import.meta.url).pathname, ...flags, scratch], {
    stdio: "inherit",
});
console.log(`${manifests.length} manifests`);
