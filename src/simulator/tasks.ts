import type { AckCommandInput, CommandFrame } from '../contract/commands.js';

export type Ack = Pick<AckCommandInput, 'command_id' | 'status' | 'message'>;
export type Parameters = CommandFrame['parameters'];
export interface Outcome {
  status: 'completed' | 'failed';
  message: string;
}

/** What a robot can be told to do, by the command's type. */
export interface Skills {
  /** Done the moment they are asked for, whatever else is going on. */
  reflexes: Readonly<Record<string, (parameters: Parameters) => Outcome>>;
  /** Done one after the other. Beginning one gives how it goes on as time passes, or how it ended already. */
  jobs: Readonly<
    Record<string, (parameters: Parameters) => Outcome | ((seconds: number) => Outcome | undefined)>
  >;
}

/** The commands of one robot, each acknowledged on every step of its way but the first, that it was received. */
export interface Tasks {
  /** Takes a command. One that comes again is not done again, but acknowledged as it stands. */
  receive(command: Pick<CommandFrame, 'id' | 'type' | 'parameters'>): void;
  /** Spends time on the job at hand. False when there is none. */
  step(seconds: number): boolean;
  /** Gives up every job. */
  abandon(reason: string): void;
}

/** How many commands are remembered, to know those that come again. */
const REMEMBERED = 200;

export function createTasks(skills: Skills, acknowledge: (ack: Ack) => void): Tasks {
  /** What was said last; null for what waits its turn. */
  const last = new Map<string, Ack | null>();
  let jobs: { id: string; begin: () => ReturnType<Skills['jobs'][string]> }[] = [];
  let work: ((seconds: number) => Outcome | undefined) | undefined;

  function remember(id: string, ack: Ack | null): void {
    last.set(id, ack);
    for (const oldest of last.keys()) {
      if (last.size <= REMEMBERED) break;
      last.delete(oldest);
    }
  }

  function say(id: string, status: Ack['status'], message?: string): void {
    const ack = { command_id: id, status, ...(message !== undefined && { message }) };
    remember(id, ack);
    acknowledge(ack);
  }

  function end(id: string, { status, message }: Outcome): void {
    jobs = jobs.filter((job) => job.id !== id);
    work = undefined;
    say(id, status, message);
  }

  return {
    receive({ id, type, parameters }) {
      const said = last.get(id);
      if (said) acknowledge(said);
      if (said !== undefined) return;
      remember(id, null);
      const reflex = own(skills.reflexes, type);
      const begin = own(skills.jobs, type);
      if (reflex) {
        const { status, message } = reflex(parameters);
        say(id, status, message);
      } else if (begin) {
        jobs.push({ id, begin: () => begin(parameters) });
      } else {
        say(id, 'failed', `This robot cannot ${type}`);
      }
    },
    step(seconds) {
      const job = jobs[0];
      if (!job) return false;
      if (!work) {
        say(job.id, 'in_progress');
        const begun = job.begin();
        if (typeof begun !== 'function') {
          end(job.id, begun);
          return true;
        }
        work = begun;
      }
      const outcome = work(seconds);
      if (outcome) end(job.id, outcome);
      return true;
    },
    abandon(reason) {
      for (const { id } of jobs) end(id, { status: 'failed', message: reason });
    },
  };
}

function own<T>(record: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}
