// Parses the adaptive cards in a folder of requests with the renderer of the format's makers, which tells unknown
// elements, missing properties and values that are not allowed.
"use strict";

const fs = require("fs");
const path = require("path");
const { AdaptiveCard, SerializationContext, Versions } = require("adaptivecards/dist/adaptivecards.js");

function faults(content) {
  const context = new SerializationContext(Versions.v1_4);
  const card = new AdaptiveCard();
  card.parse(content, context);
  const found = [];
  for (let i = 0; i < context.eventCount; i++) found.push(context.getEventAt(i).message);
  const validated = card.validateProperties();
  for (const event of validated.validationEvents) found.push(event.message);
  return found;
}

let bad = 0;
let cards = 0;
for (const name of fs.readdirSync(process.argv[2]).sort()) {
  const request = JSON.parse(fs.readFileSync(path.join(process.argv[2], name), "utf8"));
  if (request.channel !== "teams") continue;
  for (const attachment of JSON.parse(request.body).attachments) {
    cards += 1;
    for (const fault of faults(attachment.content)) {
      console.log(`${name}: ${fault}`);
      bad += 1;
    }
  }
}
// A check that finds nothing wrong with anything is none.
if (faults({ type: "AdaptiveCard", version: "1.4", body: [{ type: "Nonsense" }] }).length === 0) {
  console.log("an unknown element passes");
  bad += 1;
}
console.log(`${cards} cards checked`);
process.exit(bad > 0 || cards === 0 ? 1 : 0);
