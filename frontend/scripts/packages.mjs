// The packages that the admin page is made with, by the lock file: `packages.mjs` checks their licences, `packages.mjs --sbom`
// prints a bill of materials (CycloneDX 1.5). npm's own `sbom` refuses a lock file whose optional packages do not fit.
import { readFileSync } from "node:fs";

const lock = JSON.parse(readFileSync(new URL("../package-lock.json", import.meta.url), "utf8"));
// As in deny.toml, and what is as permissive.
const allowed = new Set(["0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BlueOak-1.0.0", "CC0-1.0", "ISC", "MIT", "Python-2.0"]);
// Tools whose code is in no page, and a package that has its licence in a file alone.
const known = { "axe-core": "MPL-2.0", lightningcss: "MPL-2.0", "svelte-toolbelt": "MIT" };

const packages = Object.entries(lock.packages)
    .filter(([path]) => path)
    .map(([path, found]) => ({ name: path.replace(/^.*node_modules\//, ""), ...found }))
    .map((found) => ({ ...found, license: found.license ?? known[found.name] ?? "unknown" }));

// SPDX expressions, as far as packages use them: one of several, in brackets or without.
const mayBe = (licence) => licence.replace(/[()]/g, "").split(" OR ").some((one) => allowed.has(one));
const isKnown = ({ name, license }) => Object.entries(known).some(([start, own]) => name.startsWith(start) && own === license);
const refused = packages.filter((found) => !mayBe(found.license) && !isKnown(found));
for (const { name, version, license } of refused) console.error(`${name} ${version}: ${license}`);
if (refused.length) process.exit(1);

if (process.argv.includes("--sbom")) {
    const components = packages.map(({ name, version, license, integrity, resolved }) => {
        const [algorithm, sum] = integrity.split("-");
        return {
            type: "library",
            "bom-ref": `pkg:npm/${name.replace("@", "%40")}@${version}`,
            name,
            version,
            purl: `pkg:npm/${name.replace("@", "%40")}@${version}`,
            licenses: [license.includes(" OR ") ? { expression: license } : { license: { id: license } }],
            hashes: [{ alg: algorithm.replace("sha", "SHA-"), content: Buffer.from(sum, "base64").toString("hex") }],
            externalReferences: [{ type: "distribution", url: resolved }],
        };
    });
    const unique = [...new Map(components.map((one) => [one["bom-ref"], one])).values()];
    const component = { type: "application", name: lock.name, version: lock.version };
    console.log(JSON.stringify({ bomFormat: "CycloneDX", specVersion: "1.5", version: 1, metadata: { component }, components: unique }, null, 1));
} else console.log(`licences of ${packages.length} packages of npm ok`);
