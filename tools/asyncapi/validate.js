// Prints what @asyncapi/parser finds wrong with a document and the files it refers to, as a JSON array; exit code 1
// where there is an error.   node validate.js FILE
const { Parser, fromFile } = require("@asyncapi/parser");

const ERROR = 0;

async function main(file) {
  const { document, diagnostics } = await fromFile(new Parser(), file).parse();
  const found = diagnostics.map(({ severity, code, path, message }) => ({ severity, code, path: path.join("."), message }));
  console.log(JSON.stringify(found));
  return document === undefined || found.some((one) => one.severity === ERROR) ? 1 : 0;
}

main(process.argv[2]).then((code) => {
  process.exitCode = code;
});
