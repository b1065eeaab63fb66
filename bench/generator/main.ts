import type { GeneratorReply, Job } from './job.js';
import { runJob } from './run.js';

// A process of its own: the load must not share a thread with what is measured, nor with the harness.
process.on('message', (job: Job) => {
  runJob(job).then(
    (result) => reply({ result }),
    (error: Error) => reply({ error: error.message }),
  );
});
process.on('disconnect', () => process.exit());

function reply(message: GeneratorReply): void {
  process.send?.(message);
}
