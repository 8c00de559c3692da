// The same for modules.
import { createRequire } from "node:module";

export const { serve } = createRequire(import.meta.url)("./serve.cjs");
