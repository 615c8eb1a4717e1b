// The SDK's files import directories and leave out ".js", as bundlers allow and node does not.
export async function resolve(specifier, context, next) {
  try {
    return await next(specifier, context);
  } catch (error) {
    if (error.code === "ERR_UNSUPPORTED_DIR_IMPORT") return next(`${specifier}/index.js`, context);
    if (error.code === "ERR_MODULE_NOT_FOUND" && specifier.startsWith("."))
      return next(`${specifier}.js`, context);
    throw error;
  }
}
