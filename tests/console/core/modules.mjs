/** The page's pure modules, as Node imports them. */

const CORE = new URL("../../../service/batkol/web/console/core/", import.meta.url);

export const load = (name) => import(new URL(`${name}.js`, CORE));
