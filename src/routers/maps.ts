import {
  ActiveMapInput,
  ActiveMapSet,
  DeletedMap,
  LatestMapInput,
  ListMapsInput,
  MapImage,
  MapInput,
  MapList,
  MapMetadata,
  SetActiveMapInput,
  UploadedMap,
  UploadMapInput,
} from '../contract/maps.js';
import { router, scoped } from './trpc.js';

export const mapsRouter = router({
  /** Within the ordinary body limit; an image that is larger goes to `POST /api/v1/map/upload`, which is streamed. */
  upload: scoped('maps:write', { audit: 'map.upload' })
    .input(UploadMapInput)
    .output(UploadedMap)
    .mutation(async ({ ctx, input }) => ({
      message: 'Map uploaded successfully',
      map_id: await ctx.services.maps.upload(ctx.principal, input),
    })),

  list: scoped('maps:read')
    .input(ListMapsInput.prefault({}))
    .output(MapList)
    .query(({ ctx, input }) => ctx.services.maps.list(ctx.principal, input)),

  get: scoped('maps:read')
    .input(MapInput)
    .output(MapMetadata)
    .query(({ ctx, input }) => ctx.services.maps.get(ctx.principal, input.map_id)),

  latest: scoped('maps:read')
    .input(LatestMapInput.prefault({}))
    .output(MapMetadata)
    .query(({ ctx, input }) => ctx.services.maps.latest(ctx.principal, input.robot_id)),

  delete: scoped('maps:write', { audit: 'map.delete' })
    .input(MapInput)
    .output(DeletedMap)
    .mutation(async ({ ctx, input: { map_id } }) => {
      await ctx.services.maps.delete(ctx.principal, map_id);
      return { message: 'Map deleted successfully', map_id };
    }),

  setActive: scoped('maps:write', { audit: 'robot.set_map' })
    .input(SetActiveMapInput)
    .output(ActiveMapSet)
    .mutation(({ ctx, input }) => ctx.services.maps.setActive(ctx.principal, input)),

  active: scoped('maps:read')
    .input(ActiveMapInput)
    .output(MapMetadata)
    .query(({ ctx, input }) => ctx.services.maps.active(ctx.principal, input.robot_id)),

  image: scoped('maps:read')
    .input(MapInput)
    .output(MapImage)
    .query(({ ctx, input }) => ctx.services.maps.image(ctx.principal, input.map_id)),
});
