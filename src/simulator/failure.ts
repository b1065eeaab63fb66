/** Why a simulation cannot go on, in words for whoever started it. */
export class SimulationError extends Error {
  override readonly name = 'SimulationError';
  /** True when what was asked for is wrong, rather than that it failed. */
  readonly isUsage: boolean;
  constructor(message: string, isUsage = false) {
    super(message);
    this.isUsage = isUsage;
  }
}
