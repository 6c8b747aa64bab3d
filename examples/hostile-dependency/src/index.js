// SPDX-License-Identifier: Apache-2.0

const express = require('express');
const { prettyDate } = require('pretty-dates');

const app = express();
app.get('/', (_, res) => res.send(prettyDate(new Date(0))));

const server = app.listen(0, '127.0.0.1', async () => {
  const answer = await fetch(`http://127.0.0.1:${server.address().port}/`);
  console.log(`the application answers: ${await answer.text()}`);
  server.close();
});
